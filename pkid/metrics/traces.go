package metrics

import "github.com/prometheus/client_golang/prometheus"

// traces watches what becomes of spans.
type traces struct {
	of interface {
		Spans() (exported, failed, dropped uint64)
	}
}

var spans = desc("trace_spans_total", "Spans of traces, by what became of them: exported, failed (the collector did not take them) or dropped (too many waited for it).", "result")

func (t *traces) Describe(to chan<- *prometheus.Desc) { to <- spans }

func (t *traces) Collect(to chan<- prometheus.Metric) {
	exported, failed, dropped := t.of.Spans()
	for result, n := range map[string]uint64{"exported": exported, "failed": failed, "dropped": dropped} {
		to <- prometheus.MustNewConstMetric(spans, prometheus.CounterValue, float64(n), result)
	}
}
