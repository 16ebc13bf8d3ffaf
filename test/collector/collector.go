// Package collector is where traces are sent in tests: it takes OTLP over HTTP
// (opentelemetry-proto, protobuf encoding) on loopback, and can be as bad as one.
// Start at [Start].
package collector

import (
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Span is a span as it came.
type Span struct {
	Service    string // service.name
	Name       string
	Kind       string
	TraceID    string // hexadecimal
	ID         string
	Parent     string // ID of another; "" for none
	Start, End time.Time
	Attributes map[string]string
	Failed     bool
}

// Collector takes spans.
type Collector struct {
	URL string

	mu    sync.Mutex
	spans []Span
	raw   bytes.Buffer
	do    http.HandlerFunc // instead of taking spans
}

// Start starts a collector, which ends with the test.
func Start(t testing.TB) *Collector {
	t.Helper()
	c := &Collector{}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	c.URL = server.URL
	return c
}

// Do has the collector answer so; nil has it take spans again.
func (c *Collector) Do(do http.HandlerFunc) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.do = do
}

// ServeHTTP implements [http.Handler].
func (c *Collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	do := c.do
	c.mu.Unlock()
	if do != nil {
		do(w, r)
		return
	}
	if err := c.take(r); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func (c *Collector) take(r *http.Request) error {
	if r.Method != http.MethodPost || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" {
		return fmt.Errorf("%s %s of type %q", r.Method, r.URL.Path, r.Header.Get("Content-Type"))
	}
	from := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		unzipped, err := gzip.NewReader(from)
		if err != nil {
			return err
		}
		from = unzipped
	}
	body, err := io.ReadAll(from)
	if err != nil {
		return err
	}
	var request collectorpb.ExportTraceServiceRequest
	if err := proto.Unmarshal(body, &request); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw.Write(body)
	for _, of := range request.ResourceSpans {
		service := texts(of.Resource.Attributes)["service.name"]
		for _, scope := range of.ScopeSpans {
			for _, s := range scope.Spans {
				c.spans = append(c.spans, span(service, s))
			}
		}
	}
	return nil
}

func span(service string, s *tracepb.Span) Span {
	return Span{
		Service: service, Name: s.Name, Kind: s.Kind.String()[len("SPAN_KIND_"):], TraceID: hex.EncodeToString(s.TraceId),
		ID: hex.EncodeToString(s.SpanId), Parent: hex.EncodeToString(s.ParentSpanId),
		Start: time.Unix(0, int64(s.StartTimeUnixNano)), End: time.Unix(0, int64(s.EndTimeUnixNano)),
		Attributes: texts(s.Attributes), Failed: s.Status.GetCode() == tracepb.Status_STATUS_CODE_ERROR,
	}
}

func texts(attributes []*commonpb.KeyValue) map[string]string {
	all := map[string]string{}
	for _, a := range attributes {
		switch v := a.Value.Value.(type) {
		case *commonpb.AnyValue_IntValue:
			all[a.Key] = fmt.Sprint(v.IntValue)
		default:
			all[a.Key] = a.Value.GetStringValue()
		}
	}
	return all
}

// Spans are those that came until now.
func (c *Collector) Spans() []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.spans)
}

// Raw is all that came.
func (c *Collector) Raw() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.Clone(c.raw.Bytes())
}

// Trace waits until a trace has so many spans, and gives it, each span under its
// path: the names of those that it is in, and its own, joined by " > ".
func (c *Collector) Trace(t testing.TB, traceID string, spans int) map[string]Span {
	t.Helper()
	var paths map[string]Span
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if paths = pathsOf(c.Spans(), traceID); len(paths) >= spans {
			return paths
		}
	}
	t.Fatalf("of trace %q %d spans came, want %d: %v", traceID, len(paths), spans, paths)
	return nil
}

func pathsOf(all []Span, traceID string) map[string]Span {
	byID, paths := map[string]Span{}, map[string]Span{}
	for _, s := range all {
		if s.TraceID == traceID {
			byID[s.ID] = s
		}
	}
	for _, s := range byID {
		path, of := s.Name, s
		for {
			parent, is := byID[of.Parent]
			if !is {
				break
			}
			path, of = parent.Name+" > "+path, parent
		}
		for paths[path].ID != "" {
			path += "'" // the same again
		}
		paths[path] = s
	}
	return paths
}
