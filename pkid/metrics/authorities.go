package metrics

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hsmpki/hsmpki/pkid/ca"
	"github.com/hsmpki/hsmpki/pkid/mounts"
)

// counting is how old what is counted may be: it takes a look at each
// certificate that ends soon.
const counting = time.Minute

// authorities watches the mounts.
type authorities struct {
	mounts interface{ List() []*mounts.Mount }
	now    func() time.Time

	mu      sync.Mutex
	counted time.Time
	figures map[string]*ca.Figures // by path
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("pkid_"+name, help, labels, nil)
}

var (
	certificates = desc("certificates", "Certificates that are stored.", "mount")
	revoked      = desc("revoked_certificates", "Certificates that are revoked and have not been tidied.", "mount")
	expiring     = desc("certificates_expiring", "Certificates that end in a day from now on; day 0 is the next 24 hours.", "mount", "day")
	issuerEnd    = desc("issuer_not_after_seconds", "When an issuer with a key ends, seconds since 1970.", "mount", "issuer")
	listNumber   = desc("crl_number", "Number of the CRL that is served.", "mount", "group", "kind")
	listMade     = desc("crl_this_update_seconds", "When the CRL that is served was made, seconds since 1970.", "mount", "group", "kind")
	listEnd      = desc("crl_next_update_seconds", "When the CRL that is served ends, seconds since 1970.", "mount", "group", "kind")
	listAge      = desc("crl_age_seconds", "How old the CRL that is served is.", "mount", "group", "kind")
	listEntries  = desc("crl_entries", "Entries of the CRL that is served.", "mount", "group", "kind")
	listSize     = desc("crl_bytes", "Octets of the CRL that is served.", "mount", "group", "kind")
)

func (a *authorities) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{certificates, revoked, expiring, issuerEnd, listNumber, listMade, listEnd, listAge, listEntries, listSize} {
		to <- d
	}
}

func (a *authorities) Collect(to chan<- prometheus.Metric) {
	now := a.now()
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	for path, f := range a.count(now) {
		gauge(certificates, float64(f.Certificates), path)
		gauge(revoked, float64(f.Revoked), path)
		for day, n := range f.Expiring {
			gauge(expiring, float64(n), path, strconv.Itoa(day))
		}
		for id, end := range f.Issuers {
			gauge(issuerEnd, float64(end.Unix()), path, id)
		}
		for _, l := range f.Lists {
			labels := []string{path, string(l.Group), string(l.Kind)}
			gauge(listNumber, float64(l.Number), labels...)
			gauge(listMade, float64(l.ThisUpdate.Unix()), labels...)
			gauge(listEnd, float64(l.NextUpdate.Unix()), labels...)
			gauge(listAge, now.Sub(l.ThisUpdate).Seconds(), labels...)
			gauge(listEntries, float64(l.Entries), labels...)
			gauge(listSize, float64(l.Size), labels...)
		}
	}
}

// count gives the figures of all mounts, of which those that are not to be had
// are left out.
func (a *authorities) count(now time.Time) map[string]*ca.Figures {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.figures != nil && now.Sub(a.counted) < counting {
		return a.figures
	}
	a.figures, a.counted = map[string]*ca.Figures{}, now
	for _, m := range a.mounts.List() {
		if m.Authority == nil {
			continue
		}
		if f, err := m.Authority.Figures(context.Background()); err == nil {
			a.figures[strings.TrimSuffix(m.Path, "/")] = f
		}
	}
	return a.figures
}
