package tracing

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// Bounds of what waits for the collector. One span has a few hundred octets.
const (
	maxHeld    = 4096
	batch      = 512
	batchDelay = 2 * time.Second
	sendTime   = 10 * time.Second
)

// Counts are how many spans became what. They go on through reloads.
type Counts struct {
	exported, failed, dropped atomic.Uint64
}

// Spans gives how many spans the collector has taken, how many it did not take,
// and how many were dropped because too many waited for it.
func (c *Counts) Spans() (exported, failed, dropped uint64) {
	return c.exported.Load(), c.failed.Load(), c.dropped.Load()
}

// queue holds spans until they are sent, without making anybody wait: beyond
// maxHeld they are dropped, which the batch processor below it does, too, but
// tells nobody.
type queue struct {
	sdk.SpanProcessor
	to     sdk.SpanExporter
	counts *Counts
	log    *slog.Logger
	held   atomic.Int64
	closed atomic.Bool
	away   atomic.Bool // the last batch was not taken
}

func newQueue(to sdk.SpanExporter, counts *Counts, log *slog.Logger) *queue {
	q := &queue{to: to, counts: counts, log: log}
	q.SpanProcessor = sdk.NewBatchSpanProcessor(sender{q}, sdk.WithMaxQueueSize(maxHeld), sdk.WithMaxExportBatchSize(batch),
		sdk.WithBatchTimeout(batchDelay), sdk.WithExportTimeout(sendTime))
	return q
}

// OnEnd takes a span that has ended.
func (q *queue) OnEnd(span sdk.ReadOnlySpan) {
	if !span.SpanContext().IsSampled() {
		return
	}
	if q.held.Add(1) > maxHeld || q.closed.Load() {
		q.held.Add(-1)
		q.counts.dropped.Add(1)
		return
	}
	q.SpanProcessor.OnEnd(span)
}

// Shutdown sends what is held.
func (q *queue) Shutdown(ctx context.Context) error {
	q.closed.Store(true)
	return q.SpanProcessor.Shutdown(ctx)
}

// sender sends a queue's batches, and counts.
type sender struct{ *queue }

func (s sender) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := s.to.ExportSpans(ctx, spans)
	s.held.Add(-int64(len(spans)))
	if err != nil {
		s.counts.failed.Add(uint64(len(spans)))
		if !s.away.Swap(true) {
			s.log.Warn("the collector does not take traces; requests go on without", "error", short(err))
		}
		return nil
	}
	s.counts.exported.Add(uint64(len(spans)))
	if s.away.Swap(false) {
		s.log.Info("the collector takes traces again")
	}
	return nil
}

func (s sender) Shutdown(ctx context.Context) error { return s.to.Shutdown(ctx) }

// short is an error as it is logged: it may have what a collector answered.
func short(err error) string {
	const most = 512
	text := err.Error()
	if len(text) > most {
		text = text[:most] + "…"
	}
	return text
}
