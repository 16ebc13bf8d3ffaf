package crl

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// Config is a mount's config/crl. What of it is about OCSP is for who answers
// queries; it is one object in the API.
type Config struct {
	// Expiry is how long a CRL is good, from thisUpdate to nextUpdate.
	Expiry Span `json:"expiry"`
	// Disable has CRLs signed that are empty.
	Disable bool `json:"disable"`
	// AutoRebuild has CRLs renewed AutoRebuildGracePeriod before their end, and
	// not by each revocation that a reader should see.
	AutoRebuild            bool `json:"auto_rebuild"`
	AutoRebuildGracePeriod Span `json:"auto_rebuild_grace_period"`
	// EnableDelta has a delta CRL made each DeltaRebuildInterval, if there is
	// anything new.
	EnableDelta          bool `json:"enable_delta"`
	DeltaRebuildInterval Span `json:"delta_rebuild_interval"`
	// MaxEntries is how many entries a CRL may have; -1: any.
	MaxEntries int `json:"max_crl_entries"`
	// AllowExpired lets certificates be revoked that have expired.
	AllowExpired bool `json:"allow_expired_cert_revocation"`

	OCSPDisable bool `json:"ocsp_disable"`
	// OCSPExpiry is how long an OCSP answer is good.
	OCSPExpiry Span `json:"ocsp_expiry"`
	// OCSPUnissued is the answer for a serial number that was never given:
	// "unknown" or "good".
	OCSPUnissued string `json:"ocsp_unissued"`
	// OCSPSigner is who signs answers: a "responder" that the issuer certifies,
	// or the "issuer".
	OCSPSigner string `json:"ocsp_signer"`
}

// The values of Config.OCSPUnissued and Config.OCSPSigner.
const (
	UnissuedUnknown = "unknown"
	UnissuedGood    = "good"

	SignerResponder = "responder"
	SignerIssuer    = "issuer"
)

// Span is a time span that reads as it was written.
type Span struct {
	time.Duration
	Text string
}

// MarshalJSON implements [json.Marshaler].
func (s Span) MarshalJSON() ([]byte, error) { return json.Marshal(s.Text) }

// UnmarshalJSON implements [json.Unmarshaler].
func (s *Span) UnmarshalJSON(raw []byte) error {
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return err
	}
	d, err := vaultapi.ParseDuration(text)
	*s = Span{d, text}
	return err
}

// DefaultConfig is Vault's, with its own answer for what was never issued.
func DefaultConfig() Config {
	return Config{
		Expiry: Span{72 * time.Hour, "72h"}, AutoRebuildGracePeriod: Span{12 * time.Hour, "12h"},
		DeltaRebuildInterval: Span{15 * time.Minute, "15m"}, MaxEntries: 100_000,
		OCSPExpiry: Span{12 * time.Hour, "12h"}, OCSPUnissued: UnissuedUnknown, OCSPSigner: SignerResponder,
	}
}

// enterprise are parameters of Vault's Enterprise edition, which are known and
// can only be false.
var enterprise = []string{"cross_cluster_revocation", "unified_crl", "unified_crl_on_existing_paths"}

// With gives the configuration with what p sets changed; what is not given
// stays. Errors are for the one who sent p.
func (c Config) With(p *vaultapi.Params) (Config, error) {
	for _, name := range enterprise {
		if p.Bool(name, false) {
			return c, vaultapi.BadRequest("%s: there is one pkid, and no cluster whose CRLs could be unified", name)
		}
	}
	for name, to := range map[string]*bool{
		"disable": &c.Disable, "auto_rebuild": &c.AutoRebuild, "enable_delta": &c.EnableDelta,
		"allow_expired_cert_revocation": &c.AllowExpired, "ocsp_disable": &c.OCSPDisable,
	} {
		*to = p.Bool(name, *to)
	}
	c.MaxEntries = p.Int("max_crl_entries", c.MaxEntries)
	for name, to := range map[string]*string{"ocsp_unissued": &c.OCSPUnissued, "ocsp_signer": &c.OCSPSigner} {
		if p.Has(name) {
			*to = p.String(name)
		}
	}
	for _, span := range []struct {
		name string
		to   *Span
	}{
		{"expiry", &c.Expiry}, {"auto_rebuild_grace_period", &c.AutoRebuildGracePeriod},
		{"delta_rebuild_interval", &c.DeltaRebuildInterval}, {"ocsp_expiry", &c.OCSPExpiry},
	} {
		if !p.Has(span.name) {
			continue
		}
		text := p.String(span.name)
		d, err := vaultapi.ParseDuration(text)
		if err != nil {
			return c, vaultapi.BadRequest("given %s could not be decoded: %s", span.name, err)
		}
		*span.to = Span{d, text}
	}
	if err := p.Err(); err != nil {
		return c, err
	}
	return c, c.check()
}

const (
	// shortest is the least life of a CRL or of an OCSP answer: what is
	// shorter would have ended before it has come to who asked.
	shortest = 10 * time.Second
	// longest is the most: RFC 5280 has no bound, but a CRL that is good for
	// longer than the CA says nothing.
	longest = 100 * 365 * 24 * time.Hour
)

func (c *Config) check() error {
	for _, span := range []struct {
		name string
		Span
		least time.Duration
	}{
		{"expiry", c.Expiry, shortest}, {"ocsp_expiry", c.OCSPExpiry, shortest},
		{"auto_rebuild_grace_period", c.AutoRebuildGracePeriod, 0}, {"delta_rebuild_interval", c.DeltaRebuildInterval, time.Second},
	} {
		if span.Duration < span.least || span.Duration > longest {
			return vaultapi.BadRequest("%s=%s: must be from %v to %v", span.name, span.Text, span.least, longest)
		}
	}
	switch {
	case c.AutoRebuild && c.AutoRebuildGracePeriod.Duration >= c.Expiry.Duration:
		return vaultapi.BadRequest("CRL auto-rebuilding grace period (%s) must be strictly shorter than CRL expiry (%s) value when auto-rebuilding of CRLs is enabled",
			c.AutoRebuildGracePeriod.Text, c.Expiry.Text)
	case c.EnableDelta && c.DeltaRebuildInterval.Duration >= c.Expiry.Duration:
		return vaultapi.BadRequest("CRL delta rebuild window (%s) must be strictly shorter than CRL expiry (%s) value when delta CRLs are enabled",
			c.DeltaRebuildInterval.Text, c.Expiry.Text)
	case c.EnableDelta && !c.AutoRebuild:
		return vaultapi.BadRequest("Delta CRLs cannot be enabled when auto rebuilding is disabled as the complete CRL is always regenerated!")
	case c.MaxEntries < -1 || c.MaxEntries == 0:
		return vaultapi.BadRequest("max_crl_entries=%d: must be 1 or more, or -1 for any number", c.MaxEntries)
	case c.OCSPUnissued != UnissuedUnknown && c.OCSPUnissued != UnissuedGood:
		return vaultapi.BadRequest("ocsp_unissued=%q: must be %q or %q", c.OCSPUnissued, UnissuedUnknown, UnissuedGood)
	case c.OCSPSigner != SignerResponder && c.OCSPSigner != SignerIssuer:
		return vaultapi.BadRequest("ocsp_signer=%q: must be %q or %q", c.OCSPSigner, SignerResponder, SignerIssuer)
	}
	return nil
}

// Data is the configuration as the API shows it.
func (c Config) Data() (map[string]any, error) {
	raw, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	data := map[string]any{}
	if err := json.Unmarshal(raw, &data); err != nil {
		return nil, fmt.Errorf("config/crl: %w", err)
	}
	for _, name := range enterprise {
		data[name] = false
	}
	data["max_crl_entries"] = c.MaxEntries
	return data, nil
}
