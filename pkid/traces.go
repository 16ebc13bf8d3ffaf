package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/hsmpki/hsmpki/config"
	"github.com/hsmpki/hsmpki/pkid/tracing"
)

// lastSpans is how long the collector has to take what is held of a Tracer that
// ends.
const lastSpans = 5 * time.Second

// traces is the Tracer in force, with what it was made of.
type traces struct {
	counts tracing.Counts
	log    *slog.Logger
	cfg    *config.Tracing // nil: no traces are made
	tracer *tracing.Tracer
}

func newTraces(cfg *config.PKID, log *slog.Logger) (*traces, error) {
	t := &traces{log: log}
	tracer, err := t.open(cfg.Tracing)
	if err != nil {
		return nil, err
	}
	t.cfg, t.tracer = cfg.Tracing, tracer
	return t, nil
}

// open makes the Tracer for a configuration, or gives the one in force where that
// is the same.
func (t *traces) open(cfg *config.Tracing) (*tracing.Tracer, error) {
	if t.cfg == nil && cfg == nil || t.cfg != nil && cfg != nil && t.cfg.Endpoint == cfg.Endpoint && t.cfg.SampleRatio == cfg.SampleRatio {
		return t.tracer, nil
	}
	if cfg == nil {
		return nil, nil
	}
	tracer, err := tracing.New(tracing.Config{Endpoint: cfg.Endpoint, SampleRatio: cfg.SampleRatio, Version: version, Counts: &t.counts, Log: t.log})
	if err != nil {
		return nil, cfg.Place.Errorf("endpoint", "%v", err)
	}
	return tracer, nil
}

// use puts a Tracer of open's in force, and ends the one before.
func (t *traces) use(cfg *config.Tracing, tracer *tracing.Tracer) {
	before := t.tracer
	t.cfg, t.tracer = cfg, tracer
	if before != tracer {
		end(before)
	}
}

// Close sends what is held.
func (t *traces) Close() { end(t.tracer) }

func end(tracer *tracing.Tracer) {
	ctx, cancel := context.WithTimeout(context.Background(), lastSpans)
	defer cancel()
	_ = tracer.Close(ctx) // the spans that it did not take are counted, and the first failure is logged
}

// rules are what the tracing block comes to.
func (t *traces) rules() []config.Rule {
	if t.cfg == nil {
		return nil
	}
	return []config.Rule{{Subject: "tracing", Text: fmt.Sprintf("to %s, of requests whose caller does not say %g %%", t.cfg.Endpoint, t.cfg.SampleRatio*100)}}
}
