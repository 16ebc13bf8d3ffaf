package tracing

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/hsmpki/hsmpki/wire"
)

// HSMD makes the spans of what hsmd did, in the span that ctx is in. The first
// step is pkid's own, of which that span tells already.
func HSMD(ctx context.Context, steps []wire.Step) {
	t, _ := ctx.Value(tracerKey{}).(*Tracer)
	if t == nil {
		return
	}
	tracer := t.hsmd.Tracer(scope)
	within := make([]context.Context, len(steps)+1)
	within[0] = ctx
	for i, s := range steps {
		if i == 0 {
			within[1] = ctx
			continue
		}
		kind := trace.SpanKindInternal
		if s.In == 1 {
			kind = trace.SpanKindServer
		}
		began := time.UnixMicro(s.Start)
		inner, span := tracer.Start(within[s.In], s.Name, trace.WithTimestamp(began), trace.WithSpanKind(kind))
		span.End(trace.WithTimestamp(began.Add(time.Duration(s.Took) * time.Microsecond)))
		within[i+1] = inner
	}
}
