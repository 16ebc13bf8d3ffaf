// Package tracing makes traces of requests and sends them to a collector
// (OpenTelemetry, by OTLP over HTTP), where the configuration has a tracing block.
//
// A trace goes through both daemons, but hsmd opens no connection for it and does
// not see it: it tells over wire how long each of its steps took (wire.Steps),
// and the spans that are sent for hsmd are made here. Spans have names of routes,
// mounts and keys, codes and the request's id, by which both daemons' logs can be
// searched; never paths, parameters or texts, which may have what is secret.
//
// A collector that is slow, away or broken costs spans and nothing else: see
// [Counts]. Start at [New], then [Tracer.Request].
package tracing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// scope names who makes the spans.
const scope = "github.com/hsmpki/hsmpki/pkid"

// Config says where traces go.
type Config struct {
	Endpoint    string  // URL of the collector, without /v1/traces
	SampleRatio float64 // of requests whose caller does not say whether they are traced
	Version     string  // pkid's
	Counts      *Counts
	Log         *slog.Logger
}

// Tracer makes traces. A nil one makes none.
type Tracer struct {
	pkid, hsmd *sdk.TracerProvider
}

// New makes a Tracer. It does not connect. What Config leaves open (headers,
// certificates, compression) is as the variables OTEL_EXPORTER_OTLP_… say.
func New(cfg Config) (*Tracer, error) {
	// What the libraries have no caller to tell.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { cfg.Log.Warn("traces", "error", short(err)) }))
	ctx := context.Background()
	to, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(strings.TrimRight(cfg.Endpoint, "/")+"/v1/traces"))
	if err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	queue := newQueue(to, cfg.Counts, cfg.Log)
	host, _ := os.Hostname()
	named := func(service string, more ...attribute.KeyValue) resource.Option {
		return resource.WithAttributes(append(more, attribute.String("service.name", service), attribute.String("host.name", host))...)
	}
	// OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME are pkid's.
	ofPKID, err := resource.New(ctx, named("pkid", attribute.String("service.version", cfg.Version)), resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("tracing: %w", err), queue.Shutdown(ctx))
	}
	ofHSMD, err := resource.New(ctx, resource.WithFromEnv(), resource.WithTelemetrySDK(), named("hsmd"))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("tracing: %w", err), queue.Shutdown(ctx))
	}
	sampler := sdk.ParentBased(sdk.TraceIDRatioBased(cfg.SampleRatio))
	return &Tracer{
		pkid: sdk.NewTracerProvider(sdk.WithSpanProcessor(queue), sdk.WithResource(ofPKID), sdk.WithSampler(sampler)),
		hsmd: sdk.NewTracerProvider(sdk.WithSpanProcessor(queue), sdk.WithResource(ofHSMD), sdk.WithSampler(sdk.ParentBased(sdk.NeverSample()))),
	}, nil
}

// Close sends what is held, until ctx is done. What ends later is not sent.
func (t *Tracer) Close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	return errors.Join(t.pkid.Shutdown(ctx), t.hsmd.Shutdown(ctx))
}

type tracerKey struct{}

// Request begins the span of a request, as a part of its caller's trace where it
// names one (W3C Trace Context: traceparent). tracestate is not gone on with: it
// is long, a stranger's, and nothing that pkid asks would read it.
func (t *Tracer) Request(ctx context.Context, header http.Header) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	parent := trace.SpanContextFromContext(propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(header)))
	if parent.IsValid() {
		ctx = trace.ContextWithRemoteSpanContext(ctx, parent.WithTraceState(trace.TraceState{}))
	}
	ctx, span := t.pkid.Tracer(scope).Start(ctx, "request", trace.WithSpanKind(trace.SpanKindServer))
	if !span.IsRecording() {
		return ctx, Span{}
	}
	return context.WithValue(ctx, tracerKey{}, t), Span{span}
}

// Start begins a part of the span that ctx is in, if it is in one.
func Start(ctx context.Context, name string) (context.Context, Span) {
	return start(ctx, name, trace.SpanKindInternal)
}

// StartCall is Start for a question that somebody else is asked.
func StartCall(ctx context.Context, name string) (context.Context, Span) {
	return start(ctx, name, trace.SpanKindClient)
}

func start(ctx context.Context, name string, kind trace.SpanKind) (context.Context, Span) {
	within := trace.SpanFromContext(ctx)
	if !within.IsRecording() {
		return ctx, Span{}
	}
	ctx, span := within.TracerProvider().Tracer(scope).Start(ctx, name, trace.WithSpanKind(kind))
	return ctx, Span{span}
}
