package config

import (
	"errors"
	"net/url"
	"strconv"

	"github.com/zclconf/go-cty/cty"
)

// Tracing is pkid's tracing block: traces of requests are sent to a collector.
type Tracing struct {
	// Endpoint (endpoint) is the collector's URL for OTLP over HTTP, to which
	// /v1/traces is added: https, or http on a loopback address. Required.
	Endpoint string

	// SampleRatio (sample_ratio) is how many of the requests are traced whose
	// caller says nothing about it (W3C traceparent), from 0 to 1. Default: 1.
	SampleRatio float64

	Place Place
}

func readTracing(b *block) *Tracing {
	t := &Tracing{SampleRatio: 1}
	b.str("endpoint", &t.Endpoint)
	b.ratio("sample_ratio", &t.SampleRatio)
	t.Place = b.read()
	b.need("endpoint")
	return t
}

// ratio is a number from 0 to 1.
func (b *block) ratio(name string, to *float64) {
	b.add(name, func(v cty.Value) error {
		var f float64
		var err error
		switch v.Type() {
		case cty.Number:
			f, _ = v.AsBigFloat().Float64()
		case cty.String:
			f, err = strconv.ParseFloat(v.AsString(), 64)
		default:
			err = errors.New("no number")
		}
		if err != nil || !(f >= 0 && f <= 1) {
			return errors.New("must be a number from 0 to 1")
		}
		*to = f
		return nil
	})
}

func (c checker) tracing(t *Tracing) {
	if t == nil || t.Endpoint == "" {
		return
	}
	u, err := url.Parse(t.Endpoint)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "":
		c.faultf(t.Place, "endpoint", `endpoint must be a URL such as "https://collector.example.com:4318"`)
	case u.User != nil:
		c.faultf(t.Place, "endpoint", "endpoint must have no user and password: headers are set with OTEL_EXPORTER_OTLP_HEADERS in pkid's environment")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		c.faultf(t.Place, "endpoint", "endpoint: http is taken only for a loopback address, such as 127.0.0.1")
	}
}
