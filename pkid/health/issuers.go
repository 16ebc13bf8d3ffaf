package health

import (
	"crypto/x509"
	"strings"
	"time"
)

const day = 24 * time.Hour

// periods are how long before its end a CA certificate is worth a word.
type periods struct{ critical, warning, informational time.Duration }

// Vault's (ca_validity_period).
var (
	rootPeriods         = periods{182 * day, 365 * day, 730 * day}
	intermediatePeriods = periods{30 * day, 60 * day, 180 * day}
)

func checkCAValidity(f *Facts, r *report) {
	if len(f.Issuers) == 0 {
		r.add(NotApplicable, "issuers", "there is no issuer yet")
	}
	for n := range f.Issuers {
		i := &f.Issuers[n]
		kind, p := "intermediate", intermediatePeriods
		if i.isRoot() {
			kind, p = "root", rootPeriods
		}
		left := i.Certificate.NotAfter.Sub(f.Now)
		status := OK
		switch {
		case left < 0:
			r.add(Critical, "issuer/"+i.ID, "the %s %s has expired, %s ago", kind, i.label(), days(-left))
			continue
		case left < p.critical:
			status = Critical
		case left < p.warning:
			status = Warning
		case left < p.informational:
			status = Informational
		}
		r.add(status, "issuer/"+i.ID, "the %s %s is valid for %s more", kind, i.label(), days(left))
	}
}

// checkCRLValidity: a CRL is renewed when a part of its time is left; one that
// was not is a fault that shows before relying parties see it.
func checkCRLValidity(f *Facts, r *report) {
	if flag(f.CRL, "disable") {
		r.add(NotApplicable, "config/crl", "CRLs are switched off")
		return
	}
	for n := range f.Issuers {
		i := &f.Issuers[n]
		if !strings.Contains(i.Usage, "crl-signing") || i.ManagedKey == "" {
			continue
		}
		if i.CRL == nil {
			r.add(Critical, "issuer/"+i.ID+"/crl", "the issuer %s has no CRL: %s", i.label(), i.CRLError)
			continue
		}
		r.crl(i, "CRL", i.CRL, f.Now, 0.95)
		if i.Delta != nil {
			r.crl(i, "delta CRL", i.Delta, f.Now, 0.95)
		}
	}
}

func (r *report) crl(i *Issuer, kind string, list *x509.RevocationList, now time.Time, limit float64) {
	life, age := list.NextUpdate.Sub(list.ThisUpdate), now.Sub(list.ThisUpdate)
	path := "issuer/" + i.ID + "/crl"
	switch {
	case now.After(list.NextUpdate):
		r.add(Critical, path, "the %s %v of %s ended %s ago", kind, list.Number, i.label(), days(now.Sub(list.NextUpdate)))
	case float64(age) > limit*float64(life):
		r.add(Critical, path, "the %s %v of %s has used up %.0f%% of its time, and was not renewed", kind, list.Number, i.label(), 100*float64(age)/float64(life))
	default:
		r.add(OK, path, "the %s %v of %s was made %s ago and is good for %s more", kind, list.Number, i.label(), days(age), days(list.NextUpdate.Sub(now)))
	}
}

func checkHardwareBacked(f *Facts, r *report) {
	for n := range f.Issuers {
		i := &f.Issuers[n]
		if i.ManagedKey != "" {
			r.add(OK, "issuer/"+i.ID, "the key of %s is the managed key %s", i.label(), i.ManagedKey)
			continue
		}
		r.add(Informational, "issuer/"+i.ID, "%s has no key here: it stands for a CA elsewhere", i.label())
	}
}

func checkRootLeaves(f *Facts, r *report) {
	for n := range f.Issuers {
		i := &f.Issuers[n]
		if !i.isRoot() || len(i.Leaves) == 0 {
			continue
		}
		r.add(Warning, "issuer/"+i.ID, "the root %s has issued leaf certificates, such as %s: an intermediate should, so that the root can be kept offline", i.label(), i.Leaves[0])
	}
}
