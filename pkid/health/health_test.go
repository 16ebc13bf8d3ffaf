package health_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/pkid/health"
)

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

// root makes a self-signed CA certificate that is valid for so long.
func root(t *testing.T, left time.Duration) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Root"}, NotBefore: now.Add(-10000 * day), NotAfter: now.Add(left),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// intermediate is a certificate whose signature is not its own key's.
func intermediate(t *testing.T, left time.Duration) *x509.Certificate {
	t.Helper()
	cert := *root(t, left)
	cert.Signature = append([]byte{}, cert.Signature...)
	cert.Signature[len(cert.Signature)-1] ^= 1
	return &cert
}

func crl(age, life time.Duration) *x509.RevocationList {
	return &x509.RevocationList{Number: big.NewInt(7), ThisUpdate: now.Add(-age), NextUpdate: now.Add(life - age)}
}

// well are the facts of a CA of which there is nothing to say.
func well(t *testing.T) *health.Facts {
	t.Helper()
	every := func(texts ...string) []any {
		list := make([]any, len(texts))
		for i, text := range texts {
			list[i] = text
		}
		return list
	}
	return &health.Facts{
		Mount: "pki", Now: now,
		Tune: map[string]any{
			"audit_non_hmac_request_keys":  every(strings.Split("alt_names,certificate,common_name,country,csr,exclude_cn_from_sans,ext_key_usage,ext_key_usage_oids,format,ip_sans,issuer_name,issuer_ref,key_bits,key_name,key_ref,key_type,key_usage,locality,managed_key_id,managed_key_name,max_path_length,not_after,not_before_duration,organization,other_sans,ou,permitted_dns_domains,policy_identifiers,postal_code,private_key_format,province,serial_number,street_address,ttl,uri_sans", ",")...),
			"audit_non_hmac_response_keys": every("certificate", "issuing_ca", "serial_number", "error", "ca_chain"),
			"max_lease_ttl":                json.Number("2764800"),
		},
		Issuers: []health.Issuer{{ID: "1", Name: "root", Certificate: root(t, 3650*day), Usage: "read-only,crl-signing", ManagedKey: "k", CRL: crl(time.Hour, 72*time.Hour)}},
		Roles:   []health.Role{{Name: "web", Fields: map[string]any{"max_ttl": json.Number("3600")}}},
		CRL:     map[string]any{"auto_rebuild": true},
		Lint:    map[string]any{"mode": "warn"},
		Tidy:    map[string]any{"enabled": true, "tidy_cert_store": true, "tidy_revoked_certs": true, "interval_duration": json.Number("43200")},
		TidyRan: map[string]any{"state": "Finished", "time_finished": now.Add(-time.Hour).Format(time.RFC3339Nano)},
		HSM:     &health.HSM{Libraries: []health.Library{{Name: "hsm", Tokens: []health.Token{{Label: "ca"}}}}},
	}
}

func TestWell(t *testing.T) {
	results := health.Check(well(t))
	if worst := health.Worst(results); worst != health.OK {
		t.Errorf("%v: %+v", worst, results)
	}
	seen := map[string]bool{}
	for _, r := range results {
		seen[r.Check] = true
	}
	for _, n := range health.Names() {
		if !seen[n[0]] {
			t.Errorf("%s says nothing", n[0])
		}
	}
}

// TestFindings changes one fact after another; each makes one check say so.
func TestFindings(t *testing.T) {
	for _, c := range []struct {
		check  string
		status health.Status
		text   string
		change func(f *health.Facts)
	}{
		{"hsmd", health.Critical, "cannot be asked: away", func(f *health.Facts) { f.HSM.Error = "away" }},
		{"hsmd", health.Critical, "has no library", func(f *health.Facts) { f.HSM.Libraries = nil }},
		{"hsmd", health.Critical, "hsm does not work: broken", func(f *health.Facts) { f.HSM.Libraries[0].Fault = "broken" }},
		{"hsmd", health.Critical, "shows no token", func(f *health.Facts) { f.HSM.Libraries[0].Tokens = nil }},
		{"hsmd", health.Critical, "PIN of token ca is locked", func(f *health.Facts) { f.HSM.Libraries[0].Tokens[0].Flags = []string{"user_pin_locked"} }},
		{"hsmd", health.Critical, "last try", func(f *health.Facts) { f.HSM.Libraries[0].Tokens[0].Flags = []string{"user_pin_final_try"} }},
		{"hsmd", health.Warning, "wrong user PIN", func(f *health.Facts) { f.HSM.Libraries[0].Tokens[0].Flags = []string{"user_pin_count_low"} }},
		{"hsmd", health.Warning, "root is not signed with on token spare", func(f *health.Facts) {
			f.HSM.Copies = []health.Copy{{Key: "root", Library: "hsm", Token: "ca"}, {Key: "root", Library: "hsm", Token: "spare", Fault: "away"}}
		}},
		{"ca_validity_period", health.Critical, "valid for 181 days", func(f *health.Facts) { f.Issuers[0].Certificate = root(t, 181*day) }},
		{"ca_validity_period", health.Warning, "root root", func(f *health.Facts) { f.Issuers[0].Certificate = root(t, 300*day) }},
		{"ca_validity_period", health.Informational, "", func(f *health.Facts) { f.Issuers[0].Certificate = root(t, 700*day) }},
		{"ca_validity_period", health.Warning, "intermediate", func(f *health.Facts) { f.Issuers[0].Certificate = intermediate(t, 40*day) }},
		{"ca_validity_period", health.Critical, "expired, 3 days ago", func(f *health.Facts) { f.Issuers[0].Certificate = root(t, -3*day) }},
		{"crl_validity_period", health.Critical, "ended", func(f *health.Facts) { f.Issuers[0].CRL = crl(73*time.Hour, 72*time.Hour) }},
		{"crl_validity_period", health.Critical, "used up 97%", func(f *health.Facts) { f.Issuers[0].CRL = crl(70*time.Hour, 72*time.Hour) }},
		{"crl_validity_period", health.Critical, "delta CRL", func(f *health.Facts) { f.Issuers[0].Delta = crl(70*time.Hour, 72*time.Hour) }},
		{"crl_validity_period", health.Critical, "no CRL: why", func(f *health.Facts) { f.Issuers[0].CRL, f.Issuers[0].CRLError = nil, "why" }},
		{"hardware_backed_root", health.Informational, "no key here", func(f *health.Facts) { f.Issuers[0].ManagedKey = "" }},
		{"root_issued_leaves", health.Warning, "such as 01:02", func(f *health.Facts) { f.Issuers[0].Leaves = []string{"01:02"} }},
		{"role_allows_localhost", health.Warning, "web", func(f *health.Facts) { f.Roles[0].Fields["allow_localhost"] = true }},
		{"role_allows_glob_wildcards", health.Warning, "web", func(f *health.Facts) {
			f.Roles[0].Fields["allow_glob_domains"], f.Roles[0].Fields["allow_wildcard_certificates"] = true, true
		}},
		{"role_allows_any_name", health.Warning, "any text", func(f *health.Facts) { f.Roles[0].Fields["allow_any_name"] = true }},
		{"role_validity", health.Informational, "set max_ttl", func(f *health.Facts) { f.Roles[0].Fields["max_ttl"] = json.Number("40000000") }},
		{"role_validity", health.Warning, "9999", func(f *health.Facts) { f.Roles[0].Fields["not_after"] = "9999-12-31T23:59:59Z" }},
		{"role_no_store_false", health.Informational, "auto_rebuild is off", func(f *health.Facts) { f.CRL["auto_rebuild"] = false }},
		{"linting", health.Warning, "config/lint is off", func(f *health.Facts) { f.Lint["mode"] = "off" }},
		{"linting", health.Warning, "web", func(f *health.Facts) { f.Roles[0].Fields["lint"] = "off" }},
		{"audit_visibility", health.Informational, "lacks ca_chain", func(f *health.Facts) {
			f.Tune["audit_non_hmac_response_keys"] = []any{"certificate", "issuing_ca", "serial_number", "error"}
		}},
		{"enable_auto_tidy", health.Informational, "is off", func(f *health.Facts) { f.Tidy["enabled"] = false }},
		{"enable_auto_tidy", health.Informational, "leaves out", func(f *health.Facts) { f.Tidy["tidy_revoked_certs"] = false }},
		{"tidy_last_run", health.Critical, "20 days ago", func(f *health.Facts) { f.TidyRan["time_finished"] = now.Add(-20 * day).Format(time.RFC3339Nano) }},
		{"tidy_last_run", health.Informational, "no tidy", func(f *health.Facts) { f.TidyRan = map[string]any{"state": "Inactive"} }},
		{"tidy_last_run", health.Warning, "failed: disk", func(f *health.Facts) { f.TidyRan = map[string]any{"state": "Error", "error": "disk"} }},
		{"too_many_certs", health.Warning, "3000000", func(f *health.Facts) { f.Certificates = 3000000 }},
	} {
		f := well(t)
		c.change(f)
		found := false
		for _, r := range health.Check(f) {
			if r.Status == health.OK || r.Status == health.NotApplicable {
				continue
			}
			if r.Check == c.check && r.Status == c.status && strings.Contains(r.Message, c.text) && r.Endpoint != "" {
				found = true
				continue
			}
			t.Errorf("%s (%q): also %+v", c.check, c.text, r)
		}
		if !found {
			t.Errorf("%s (%q): not found as %v", c.check, c.text, c.status)
		}
	}
}
