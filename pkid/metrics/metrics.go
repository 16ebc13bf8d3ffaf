// Package metrics is what can be watched of pkid, and of hsmd through it, in
// Prometheus' text format. Names begin with pkid_ and hsmd_; labels are names
// of mounts, routes, keys and codes, of which there are few, and never what a
// stranger sends.
//
// Start at [New] and [Metrics.Text].
package metrics

import (
	"bytes"
	"context"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/common/expfmt"

	"github.com/hsmpki/hsmpki/pkid/mounts"
	"github.com/hsmpki/hsmpki/pkid/store/pebblestore"
	"github.com/hsmpki/hsmpki/wire"
)

const requestName = "pkid_http_request_duration_seconds"

// ContentType is that of [Metrics.Text].
const ContentType = string(expfmt.FmtText)

// Config is what is watched.
type Config struct {
	Version string
	Mounts  interface{ List() []*mounts.Mount }
	Storage interface {
		Sizes() (pebblestore.Sizes, bool)
	}
	HSM interface {
		Status(ctx context.Context, req *wire.StatusRequest) (*wire.StatusResponse, error)
	}
	Traces interface {
		Spans() (exported, failed, dropped uint64)
	}
	Now func() time.Time
}

// Metrics counts requests and gathers all else when it is asked.
type Metrics struct {
	registry *prometheus.Registry
	requests *prometheus.HistogramVec
}

// New makes Metrics.
func New(cfg Config) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: requestName, Help: "Time to answer requests, by the pattern of their path.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"path", "operation", "status"}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "pkid_build_info", Help: "1, with pkid's version.", ConstLabels: prometheus.Labels{"version": cfg.Version}})
	build.Set(1)
	m.registry.MustRegister(build, m.requests,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{Namespace: "pkid"}),
		&storage{cfg.Storage}, &authorities{mounts: cfg.Mounts, now: cfg.Now}, &hsmd{cfg.HSM}, &traces{cfg.Traces})
	return m
}

// Request counts one request. path is a route's pattern, "" for one that there
// is not.
func (m *Metrics) Request(path, operation string, status int, took time.Duration) {
	if path == "" {
		path = "none"
	}
	m.requests.WithLabelValues(path, operation, strconv.Itoa(status)).Observe(took.Seconds())
}

// Text gathers everything. What cannot be had is left out; hsmd_up says whether hsmd was.
func (m *Metrics) Text() ([]byte, error) {
	families, err := m.registry.Gather()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	to := expfmt.NewEncoder(&out, expfmt.NewFormat(expfmt.TypeTextPlain))
	for _, f := range families {
		if err := to.Encode(f); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), nil
}
