package metrics

import (
	"context"
	"regexp"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hsmpki/hsmpki/wire"
)

// patience is how long hsmd is waited for: a scrape has to end.
const patience = 5 * time.Second

// hsmd watches hsmd, by asking it.
type hsmd struct {
	of interface {
		Status(ctx context.Context, req *wire.StatusRequest) (*wire.StatusResponse, error)
	}
}

var (
	hsmdUp      = prometheus.NewDesc("hsmd_up", "1 if hsmd answers.", nil, nil)
	hsmdStarted = prometheus.NewDesc("hsmd_start_time_seconds", "When hsmd started, seconds since 1970.", []string{"version"}, nil)
	libraryUp   = prometheus.NewDesc("hsmd_library_up", "1 if the library's worker answers.", []string{"library"}, nil)
	tokenIn     = prometheus.NewDesc("hsmd_token_logged_in", "1 if the worker is logged in to the token.", []string{"library", "token", "serial"}, nil)
	sessions    = prometheus.NewDesc("hsmd_token_sessions", "Sessions that are open on the token.", []string{"library", "token", "serial"}, nil)
	breakerOpen = prometheus.NewDesc("hsmd_token_away", "1 for a token that requests are kept off; there is none for others.", []string{"library", "token", "state"}, nil)
	copyUsed    = prometheus.NewDesc("hsmd_copy_used", "1 if this copy of a key that is on several tokens is used.", []string{"key", "library", "token"}, nil)
)

// Describe says nothing: what hsmd counts is known when it answers.
func (h *hsmd) Describe(chan<- *prometheus.Desc) {}

func (h *hsmd) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	status, err := h.of.Status(ctx, &wire.StatusRequest{Numbers: true})
	gauge := func(d *prometheus.Desc, is bool, labels ...string) {
		value := 0.0
		if is {
			value = 1
		}
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	gauge(hsmdUp, err == nil)
	if err != nil {
		return
	}
	to <- prometheus.MustNewConstMetric(hsmdStarted, prometheus.GaugeValue, float64(status.Started), status.Version)
	for _, l := range status.Libraries {
		gauge(libraryUp, l.Fault == nil, l.Name)
		for _, t := range l.Tokens {
			gauge(tokenIn, t.LoggedIn, l.Name, t.Label, t.Serial+"/"+strconv.FormatUint(t.Slot, 10))
			to <- prometheus.MustNewConstMetric(sessions, prometheus.GaugeValue, float64(t.Sessions), l.Name, t.Label, t.Serial+"/"+strconv.FormatUint(t.Slot, 10))
		}
		for _, b := range l.Away {
			gauge(breakerOpen, true, l.Name, b.Token, b.State)
		}
	}
	for _, k := range status.Copies {
		for i, c := range k.Copies {
			gauge(copyUsed, c.Fault == nil && c.Found, k.Key, c.Library, c.TokenLabel+"#"+strconv.Itoa(i))
		}
	}
	for _, n := range status.Numbers {
		if m := number(&n); m != nil {
			to <- m
		}
	}
}

var validName = regexp.MustCompile(`^[a-z_]{1,64}$`)

// number is one of hsmd's numbers, nil for one that makes no sense.
func number(n *wire.Number) prometheus.Metric {
	if !validName.MatchString(n.Name) || len(n.Bounds) != len(n.Counts) {
		return nil
	}
	d := prometheus.NewDesc("hsmd_"+n.Name, help[n.Name], nil, prometheus.Labels(n.Labels))
	var m prometheus.Metric
	var err error
	switch {
	case len(n.Bounds) > 0:
		buckets := map[float64]uint64{}
		for i, bound := range n.Bounds {
			buckets[bound] = n.Counts[i]
		}
		m, err = prometheus.NewConstHistogram(d, uint64(n.Value), n.Sum, buckets)
	case n.Gauge:
		m, err = prometheus.NewConstMetric(d, prometheus.GaugeValue, n.Value)
	default:
		m, err = prometheus.NewConstMetric(d, prometheus.CounterValue, n.Value)
	}
	if err != nil {
		return nil
	}
	return m
}

// help is what hsmd's numbers are.
var help = map[string]string{
	"requests_total":         "Requests that hsmd answered, by operation and code.",
	"sign_duration_seconds":  "Time to sign, by key and library, of what was signed.",
	"token_duration_seconds": "Time that the token took to sign, by key and library: of a key with copies, those of each. Of a message that it is given as it comes, from its end.",
	"connections":            "Connections that are open.",
	"signatures_under_way":   "Signatures under way: those at the token, and those that wait for it.",
	"managed_keys":           "Managed keys.",
	"approvals_waiting":      "Messages that wait for people's approval.",
	"log_entries":            "Lines of the log of signatures.",
	"log_bytes":              "Size of the log of signatures.",
	"ledger_bytes":           "Size of the ledger of what was signed.",
	"log_writable":           "1: the log of signatures takes lines; 0: nothing is signed, or CRLs alone (a full disk).",
	"witness_signed":         "1: the witness has signed the last checkpoint of the log of signatures.",
}
