package test

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/test/collector"
	"github.com/hsmpki/hsmpki/test/daemon"
)

func tracingTo(c *collector.Collector, ratio string) string {
	return fmt.Sprintf("tracing {\n  endpoint = %q\n  sample_ratio = %s\n}\n", c.URL, ratio)
}

// asked sends a request in a caller's trace.
func asked(t *testing.T, p *daemon.PKID, trace, path, body string) *http.Response {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, "http://pkid/v1/"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Traceparent", "00-"+trace+"-00f067aa0ba902b7-01")
	resp, err := p.HTTP.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp
}

func textOf(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// metric is one number of sys/metrics, with its labels as they are written there.
func metric(t *testing.T, p *daemon.PKID, name string) float64 {
	t.Helper()
	for line := range strings.Lines(string(p.Must(t, "GET", "sys/metrics?format=prometheus", nil).Body)) {
		if value, is := strings.CutPrefix(line, name+" "); is {
			number, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				t.Fatal(err)
			}
			return number
		}
	}
	t.Fatalf("there is no %s", name)
	return 0
}

// TestTracing follows a request from its caller through pkid, hsmd and the
// worker, by what a collector gets; then it turns tracing off and on by reloads,
// and kills the collector.
func TestTracing(t *testing.T) {
	c := collector.Start(t)
	p := daemon.Start(t)
	ca(t, p)
	p.PKID.Write(t, fmt.Sprintf("audit_log = %q\n", p.PKID.Dir+"/audit.log")+tracingTo(c, "0"))
	p.PKID.Stop()
	p.PKID.Start()
	p.PKID.Must(t, "POST", "pki/issue/web", map[string]any{"common_name": "first.example.com"}) // which asks hsmd about the key

	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	if resp := asked(t, p.PKID, trace, "pki/issue/web", `{"common_name": "traced.example.com"}`); resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status)
	}
	const root = "POST /v1/:mount/issue/:role"
	const hsmd = root + " > hsmd sign > sign"
	want := map[string]string{
		root: "pkid SERVER", root + " > authorize": "pkid INTERNAL", root + " > key": "pkid INTERNAL", root + " > lint": "pkid INTERNAL",
		root + " > hsmd sign": "pkid CLIENT", hsmd: "hsmd SERVER", hsmd + " > key": "hsmd INTERNAL", hsmd + " > message": "hsmd INTERNAL",
		hsmd + " > constraints": "hsmd INTERNAL", hsmd + " > ledger": "hsmd INTERNAL", hsmd + " > log": "hsmd INTERNAL", hsmd + " > token": "hsmd INTERNAL",
		hsmd + " > token > sign": "hsmd INTERNAL", hsmd + " > token > sign > session": "hsmd INTERNAL", hsmd + " > token > sign > C_Sign": "hsmd INTERNAL",
		hsmd + " > log is durable": "hsmd INTERNAL", root + " > store": "pkid INTERNAL", root + " > audit log is durable": "pkid INTERNAL",
	}
	got := c.Trace(t, trace, len(want))
	for path, is := range want {
		s, there := got[path]
		if !there || s.Service+" "+s.Kind != is {
			t.Errorf("%s: %s %s, want %s", path, s.Service, s.Kind, is)
		}
		// Times are told in microseconds, each rounded by itself.
		whole := got[root]
		if s.End.Before(s.Start) || s.Start.Before(whole.Start.Truncate(1000)) || s.End.After(whole.End.Add(2000)) {
			t.Errorf("%s is from %v to %v, the request from %v to %v", path, s.Start, s.End, whole.Start, whole.End)
		}
	}
	if len(got) != len(want) {
		t.Errorf("spans %q", slices.Sorted(maps.Keys(got)))
	}
	r := got[root]
	if r.Parent != "00f067aa0ba902b7" || r.Attributes["pkid.mount"] != "pki/" || r.Attributes["http.response.status_code"] != "200" || got[root+" > hsmd sign"].Attributes["hsmd.key"] != "ca" {
		t.Errorf("the root is %+v", r)
	}
	// The request's id joins the trace to the logs of both.
	for name, log := range map[string]string{"pkid's audit log": textOf(t, p.PKID.Dir+"/audit.log"), "hsmd's log": p.HSMD.Log()} {
		if id := r.Attributes["pkid.request_id"]; id == "" || !strings.Contains(log, id) {
			t.Errorf("request id %q is not in %s", id, name)
		}
	}

	// What strangers write in a path.
	refused := strings.Repeat("a", 32)
	asked(t, p.PKID, refused, "nowhere/hvs.a-token-in-a-path", `{}`)
	if s := c.Trace(t, refused, 2)["POST"]; s.Attributes["http.response.status_code"] != "404" || s.Failed {
		t.Errorf("a path that there is not: %+v", s)
	}
	if strings.Contains(string(c.Raw()), "hvs.") {
		t.Error("what is in a path was sent")
	}

	p.PKID.Write(t, "")
	if log, taken := p.PKID.Reload(); !taken || !strings.Contains(log, "tracing") {
		t.Fatalf("tracing is not turned off:\n%s", log)
	}
	before := len(c.Spans())
	asked(t, p.PKID, trace, "pki/issue/web", `{"common_name": "untraced.example.com"}`)
	p.PKID.Write(t, tracingTo(c, "1"))
	if log, taken := p.PKID.Reload(); !taken {
		t.Fatalf("tracing is not turned on again:\n%s", log)
	}
	again := strings.Repeat("b", 32)
	asked(t, p.PKID, again, "pki/issue/web", `{"common_name": "again.example.com"}`)
	c.Trace(t, again, len(want)-1) // without an audit log
	for _, s := range c.Spans()[before:] {
		if s.TraceID == trace {
			t.Errorf("traced while tracing was off: %+v", s)
		}
	}
	exported := metric(t, p.PKID, `pkid_trace_spans_total{result="exported"}`)
	if exported < float64(len(want)) {
		t.Errorf("%v spans exported", exported)
	}

	// A collector that refuses costs nobody anything but spans.
	c.Do(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusForbidden) })
	asked(t, p.PKID, again, "pki/issue/web", `{"common_name": "more.example.com"}`)
	eventually(t, "failed spans are counted", func() bool { return metric(t, p.PKID, `pkid_trace_spans_total{result="failed"}`) > 0 })
	if !strings.Contains(p.PKID.Log(), "the collector does not take traces") {
		t.Error("nothing is logged of it")
	}
}
