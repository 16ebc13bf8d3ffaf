package tidy

import (
	"fmt"
	"time"
)

// Params say what one run does (API path tidy, vault-api.md 3.7).
type Params struct {
	CertStore          bool // certificates that ended before SafetyBuffer
	RevokedCerts       bool // their revocations, which then leave the CRL
	IssuerAssociations bool // revocations whose issuer is gone get another one of its group
	ExpiredIssuers     bool // issuers that ended before IssuerSafetyBuffer, never the default
	MoveLegacyCABundle bool // there is none here
	ACME               bool // there is none yet

	SafetyBuffer       time.Duration
	IssuerSafetyBuffer time.Duration
	ACMESafetyBuffer   time.Duration
	Pause              time.Duration // between two pages
	PageSize           int           // certificates in one update of the store
}

// Defaults are the parameters that a request need not say.
func Defaults() Params {
	return Params{SafetyBuffer: 72 * time.Hour, IssuerSafetyBuffer: 8760 * time.Hour, ACMESafetyBuffer: 720 * time.Hour, PageSize: 500}
}

// Check refuses parameters out of range, naming the one.
func (p *Params) Check() error {
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"safety_buffer", p.SafetyBuffer}, {"issuer_safety_buffer", p.IssuerSafetyBuffer}, {"acme_account_safety_buffer", p.ACMESafetyBuffer},
	} {
		if d.value < time.Second {
			return fmt.Errorf("%s must be greater than zero", d.name)
		}
	}
	if p.Pause < 0 || p.Pause > time.Hour {
		return fmt.Errorf("pause_duration=%s: must be 0 to 1h", p.Pause)
	}
	if p.PageSize < 1 || p.PageSize > 10000 {
		return fmt.Errorf("page_size=%d: must be 1 to 10000", p.PageSize)
	}
	return nil
}

// Anything reports whether a run would do anything.
func (p *Params) Anything() bool {
	return p.CertStore || p.RevokedCerts || p.IssuerAssociations || p.ExpiredIssuers || p.MoveLegacyCABundle || p.ACME
}
