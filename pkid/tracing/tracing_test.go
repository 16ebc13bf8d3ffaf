package tracing_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hsmpki/hsmpki/pkid/tracing"
	"github.com/hsmpki/hsmpki/test/collector"
	"github.com/hsmpki/hsmpki/wire"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func tracer(t testing.TB, url string, ratio float64) (*tracing.Tracer, *tracing.Counts) {
	t.Helper()
	counts := &tracing.Counts{}
	tr, err := tracing.New(tracing.Config{Endpoint: url, SampleRatio: ratio, Version: "1", Counts: counts, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return tr, counts
}

// closed sends everything.
func closed(t testing.TB, tr *tracing.Tracer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := tr.Close(ctx); err != nil {
		t.Error(err)
	}
	http.DefaultClient.CloseIdleConnections()
}

// request makes a request's trace with a question to hsmd in it.
func request(tr *tracing.Tracer, traceparent string) {
	header := http.Header{}
	if traceparent != "" {
		header.Set("Traceparent", traceparent)
		header.Set("Tracestate", "secret=of-another")
	}
	ctx, span := tr.Request(context.Background(), header)
	span.Rename("POST /v1/:mount/issue/:role")
	span.SetNumber("http.response.status_code", 503)
	ctx, call := tracing.StartCall(ctx, "hsmd sign")
	now := time.Now().UnixMicro()
	tracing.HSMD(ctx, []wire.Step{{Name: "whole"}, {Name: "sign", In: 1, Start: now, Took: 900}, {Name: "token", In: 2, Start: now, Took: 700}, {Name: "C_Sign", In: 3, Start: now + 100, Took: 500}})
	call.Fail("unavailable")
	call.End()
	span.End()
}

const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

func TestTrace(t *testing.T) {
	c := collector.Start(t)
	tr, counts := tracer(t, c.URL+"/", 1)
	request(tr, parent)
	closed(t, tr)
	if sent, failed, dropped := counts.Spans(); sent != 5 || failed+dropped != 0 {
		t.Errorf("%d sent, %d failed, %d dropped", sent, failed, dropped)
	}
	trace := c.Trace(t, "4bf92f3577b34da6a3ce929d0e0e4736", 5)
	for path, want := range map[string]string{
		"POST /v1/:mount/issue/:role":                                     "pkid SERVER",
		"POST /v1/:mount/issue/:role > hsmd sign":                         "pkid CLIENT failed",
		"POST /v1/:mount/issue/:role > hsmd sign > sign":                  "hsmd SERVER",
		"POST /v1/:mount/issue/:role > hsmd sign > sign > token":          "hsmd INTERNAL",
		"POST /v1/:mount/issue/:role > hsmd sign > sign > token > C_Sign": "hsmd INTERNAL",
	} {
		s := trace[path]
		got := s.Service + " " + s.Kind
		if s.Failed {
			got += " failed"
		}
		if got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	if root := trace["POST /v1/:mount/issue/:role"]; root.Parent != "00f067aa0ba902b7" || root.Attributes["http.response.status_code"] != "503" {
		t.Errorf("the root is %+v", root)
	}
	if sign := trace["POST /v1/:mount/issue/:role > hsmd sign > sign > token > C_Sign"]; sign.End.Sub(sign.Start) != 500*time.Microsecond {
		t.Errorf("C_Sign took %v", sign.End.Sub(sign.Start))
	}
	if strings.Contains(string(c.Raw()), "of-another") {
		t.Error("a stranger's tracestate was sent")
	}
}

// TestWhichAreTraced is about who decides: the caller, where he says so.
func TestWhichAreTraced(t *testing.T) {
	for _, c := range []struct {
		traceparent string
		ratio       float64
		traced      bool
	}{
		{"", 1, true},
		{"", 0, false},
		{parent, 0, true},
		{strings.TrimSuffix(parent, "01") + "00", 1, false},
		{"00-00000000000000000000000000000000-00f067aa0ba902b7-01", 0, false},
		{"00-" + strings.Repeat("4", 10000) + "-00f067aa0ba902b7-01", 0, false},
		{"garbage\x00", 1, true},
	} {
		to := collector.Start(t)
		tr, _ := tracer(t, to.URL, c.ratio)
		request(tr, c.traceparent)
		closed(t, tr)
		if got := len(to.Spans()) > 0; got != c.traced {
			t.Errorf("%.60q at %v: traced %v", c.traceparent, c.ratio, got)
		}
	}
	var none *tracing.Tracer
	request(none, parent)
	if err := none.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

// TestBadCollectors has collectors that hang, refuse, lie, or are not there:
// requests wait for none of them, and each span is accounted for.
func TestBadCollectors(t *testing.T) {
	var over chan struct{}
	for name, do := range map[string]http.HandlerFunc{
		"hangs": func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			select {
			case <-over:
			case <-r.Context().Done():
			}
		},
		"refuses": func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, strings.Repeat("no\n", 100000), http.StatusForbidden)
		},
		"answers garbage": func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "\xff\xff") },
	} {
		t.Run(name, func(t *testing.T) {
			over = make(chan struct{})
			c := collector.Start(t)
			c.Do(do)
			defer close(over) // before the collector ends
			tr, counts := tracer(t, c.URL, 1)
			for range 3000 { // 15000 spans
				request(tr, "")
			}
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			_ = tr.Close(ctx)
			sent, failed, dropped := counts.Spans()
			t.Logf("%d sent, %d failed, %d dropped", sent, failed, dropped)
			if name == "hangs" && dropped < 5000 {
				t.Errorf("%d spans are held", 15000-dropped)
			}
			if name != "hangs" && sent+failed+dropped != 15000 {
				t.Errorf("%d of 15000 spans are accounted for", sent+failed+dropped)
			}
		})
	}
}

// TestUntracedCostsNothing counts what a request that is not traced leaves
// behind.
func TestUntracedCostsNothing(t *testing.T) {
	ctx := context.Background()
	var none *tracing.Tracer
	if n := testing.AllocsPerRun(100, func() {
		ctx, span := none.Request(ctx, nil)
		ctx, inner := tracing.Start(ctx, "store")
		inner.Set("key", "value")
		inner.End()
		_, call := tracing.StartCall(ctx, "hsmd sign")
		call.Fail("busy")
		call.End()
		span.End()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestEnvironment(t *testing.T) {
	c := collector.Start(t)
	var got http.Header
	c.Do(func(_ http.ResponseWriter, r *http.Request) { got = r.Header.Clone() })
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20collector-token")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	tr, _ := tracer(t, c.URL, 1)
	request(tr, "")
	closed(t, tr)
	if got.Get("Authorization") != "Bearer collector-token" {
		t.Errorf("headers %v", got)
	}
}
