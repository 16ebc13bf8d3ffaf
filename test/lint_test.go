package test

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/hsmpki/hsmpki/test/check"
	"github.com/hsmpki/hsmpki/test/daemon"
)

// long is an organization that RFC 5280 has no room for, and tooLong the lint
// that says so.
var long = strings.Repeat("o", 65)

const tooLong = "e_subject_organization_name_max_length"

// TestLint: what a lint finds is a warning, or refuses, or does not count, as
// the role says and where it says nothing the mount.
func TestLint(t *testing.T) {
	p := daemon.Start(t)
	ca(t, p)
	role := func(fields map[string]any) {
		t.Helper()
		fields["allow_any_name"], fields["key_type"], fields["organization"] = true, "ec", long
		p.PKID.Must(t, "POST", "pki/roles/odd", fields)
	}
	ask := map[string]any{"common_name": "web.example.com"}
	noLint(t, p.PKID.Must(t, "POST", "pki/issue/web", ask))

	role(map[string]any{})
	a := p.PKID.Must(t, "POST", "pki/issue/odd", ask)
	if text := strings.Join(a.Warnings, "\n"); !strings.Contains(text, "lint "+tooLong+" (error): ") {
		t.Errorf("warnings %q do not name the lint", a.Warnings)
	}
	if got := parse(t, a.String(t, "certificate")).Subject.Organization; len(got) != 1 || got[0] != long {
		t.Errorf("issued for %q", got)
	}

	before := check.Certificates(t, p.PKID, "pki/")
	role(map[string]any{"lint": "enforce"})
	p.PKID.Refused(t, "POST", "pki/issue/odd", ask, 400, tooLong)
	p.PKID.Refused(t, "POST", "pki/sign/odd", map[string]any{"csr": request(t, "web.example.com")}, 400, tooLong)
	if after := check.Certificates(t, p.PKID, "pki/"); after != before {
		t.Error("a certificate was kept that was refused")
	}
	role(map[string]any{"lint": "enforce", "lint_waive": tooLong})
	noLint(t, p.PKID.Must(t, "POST", "pki/issue/odd", ask))
	role(map[string]any{"lint": "off"})
	noLint(t, p.PKID.Must(t, "POST", "pki/issue/odd", ask))

	// The mount's.
	p.PKID.Must(t, "POST", "pki/config/lint", map[string]any{"mode": "enforce"})
	role(map[string]any{})
	p.PKID.Refused(t, "POST", "pki/issue/odd", ask, 400, tooLong)
	role(map[string]any{"lint": "warn"})
	p.PKID.Must(t, "POST", "pki/issue/odd", ask)
	p.PKID.Must(t, "POST", "pki/config/lint", map[string]any{"waive": []string{tooLong}})
	role(map[string]any{})
	noLint(t, p.PKID.Must(t, "POST", "pki/issue/odd", ask))
	noLint(t, p.PKID.Must(t, "POST", "pki/issue/web", ask))
}

func noLint(t *testing.T, a *daemon.Answer) {
	t.Helper()
	for _, w := range a.Warnings {
		if strings.HasPrefix(w, "lint ") {
			t.Errorf("warned of %q", w)
		}
	}
}

// TestLintSources: rules for public CAs hold where they are asked for, for
// roots too, and sign-verbatim goes by the mount's.
func TestLintSources(t *testing.T) {
	p := daemon.Start(t)
	ca(t, p)
	define(t, p, "second")
	root := map[string]any{"managed_key_name": "second", "common_name": "Second", "ttl": "8760h"}
	verbatim := map[string]any{"csr": request(t, "web.example.com")}
	noLint(t, p.PKID.Must(t, "POST", "pki/sign-verbatim", verbatim))

	p.PKID.Must(t, "POST", "pki/config/lint", map[string]any{"mode": "enforce", "sources": "cabf_br"})
	p.PKID.Refused(t, "POST", "pki/root/generate/kms", root, 400, "e_ca_country_name_missing")
	p.PKID.Refused(t, "POST", "pki/issue/web", map[string]any{"common_name": "web.example.com"}, 400, "e_sub_cert_certificate_policies_missing")
	verbatim["ext_key_usage"] = "ServerAuth"
	p.PKID.Refused(t, "POST", "pki/sign-verbatim", verbatim, 400, "e_sub_cert_certificate_policies_missing")
	root["country"], root["organization"] = "NL", "Example"
	noLint(t, p.PKID.Must(t, "POST", "pki/root/generate/kms", root))

	p.PKID.Must(t, "POST", "pki/config/lint", map[string]any{"mode": "warn"})
	a := p.PKID.Must(t, "POST", "pki/issue/web", map[string]any{"common_name": "web.example.com"})
	if !strings.Contains(strings.Join(a.Warnings, "\n"), "e_sub_cert_certificate_policies_missing") {
		t.Errorf("warnings %q", a.Warnings)
	}
	p.PKID.Must(t, "POST", "pki/roles/web", map[string]any{"allow_any_name": true, "key_type": "ec", "lint_sources": "RFC5280"})
	noLint(t, p.PKID.Must(t, "POST", "pki/issue/web", map[string]any{"common_name": "web.example.com"}))
}

// TestLintCRL: a CRL that a lint refuses is not signed, whether it is read,
// rotated or signed for somebody else's entries; the one before serves on.
func TestLintCRL(t *testing.T) {
	const tooLate, onHold = "e_crl_next_update_invalid", "e_cab_crl_has_valid_reason_code"
	p := daemon.Start(t)
	ca(t, p)
	before := p.PKID.Must(t, "GET", "pki/crl", nil).Body
	p.PKID.Must(t, "POST", "pki/config/lint", map[string]any{"mode": "enforce", "sources": "CABF_BR", "waive": tooLate})
	p.PKID.Must(t, "POST", "pki/config/crl", map[string]any{"expiry": "1000h"})
	p.PKID.Must(t, "GET", "pki/crl/rotate", nil)
	long := readList(t, p)
	if life := long.NextUpdate.Sub(long.ThisUpdate); life != 1000*time.Hour || bytes.Equal(long.Raw, before) {
		t.Fatalf("the lint is waived, and the CRL is good for %v", life)
	}

	p.PKID.Must(t, "POST", "pki/config/lint", map[string]any{"waive": ""})
	p.PKID.Must(t, "POST", "pki/roles/web", map[string]any{"allow_any_name": true, "key_type": "ec", "lint": "off"})
	leaf := p.PKID.Must(t, "POST", "pki/issue/web", map[string]any{"common_name": "web.example.com", "ttl": "1h"})
	p.PKID.Must(t, "POST", "pki/revoke", map[string]any{"serial_number": leaf.String(t, "serial_number")})
	if got := readList(t, p); !bytes.Equal(got.Raw, long.Raw) {
		t.Errorf("number %v is served, signed against the lint", got.Number)
	}
	p.PKID.Refused(t, "GET", "pki/crl/rotate", nil, 400, tooLate)
	p.PKID.Must(t, "POST", "pki/config/lint", map[string]any{"mode": "warn"})
	p.PKID.Must(t, "GET", "pki/crl/rotate", nil)
	if got := readList(t, p); len(got.RevokedCertificateEntries) != 1 {
		t.Errorf("%d entries once the mode is warn", len(got.RevokedCertificateEntries))
	}
	if log := p.PKID.Log(); !strings.Contains(log, "a CRL is signed against which a lint speaks") {
		t.Error("the log does not say what the lint found")
	}

	// The mount's settings hold for CRLs that are not its own, too.
	reason := base64.StdEncoding.EncodeToString([]byte{10, 1, 6})
	sign := map[string]any{"crl_number": 9, "revoked_certs": []map[string]any{{"serial_number": "05", "revocation_time": 1_700_000_000,
		"extensions": []map[string]any{{"id": "2.5.29.21", "value": reason}}}, {"serial_number": leaf.String(t, "serial_number"), "revocation_time": 1_700_000_000}}}
	a := p.PKID.Must(t, "POST", "pki/issuer/default/sign-revocation-list", sign)
	if !strings.Contains(strings.Join(a.Warnings, "\n"), onHold) {
		t.Errorf("warnings %q", a.Warnings)
	}
	resign := map[string]any{"crl_number": 10, "crls": a.String(t, "crl")}
	if a = p.PKID.Must(t, "POST", "pki/issuer/default/resign-crls", resign); !strings.Contains(strings.Join(a.Warnings, "\n"), onHold) {
		t.Errorf("warnings %q", a.Warnings)
	}
	p.PKID.Must(t, "POST", "pki/config/lint", map[string]any{"mode": "enforce"})
	p.PKID.Refused(t, "POST", "pki/issuer/default/sign-revocation-list", sign, 400, onHold)
	p.PKID.Refused(t, "POST", "pki/issuer/default/resign-crls", resign, 400, onHold)
	p.PKID.Must(t, "POST", "pki/config/lint", map[string]any{"mode": "off"})
	sign["crl_number"] = 11
	noLint(t, p.PKID.Must(t, "POST", "pki/issuer/default/sign-revocation-list", sign))
}

// readList reads the default issuer's CRL.
func readList(t *testing.T, p *daemon.Pair) *x509.RevocationList {
	t.Helper()
	list, err := x509.ParseRevocationList(p.PKID.Must(t, "GET", "pki/crl", nil).Body)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestLintResponder: the certificate of the OCSP responder goes by the mount's
// settings as others do. It has the name of the issuer, be that as it may.
func TestLintResponder(t *testing.T) {
	const finding = "e_issuer_dn_country_not_printable_string"
	p := daemon.Start(t)
	define(t, p, "ca")
	p.PKID.Must(t, "POST", "sys/mounts/pki", map[string]any{"type": "pki", "config": map[string]any{"max_lease_ttl": "87600h"}})
	p.PKID.Must(t, "POST", "pki/root/generate/kms", map[string]any{"managed_key_name": "ca", "common_name": "Root", "country": "Ñ", "ttl": "8760h"})
	root := parse(t, p.PKID.Must(t, "GET", "pki/cert/ca", nil).String(t, "certificate"))
	query, err := ocsp.CreateRequest(root, root, nil)
	if err != nil {
		t.Fatal(err)
	}
	path := "pki/ocsp/" + base64.StdEncoding.EncodeToString(query)
	certificates := check.Certificates(t, p.PKID, "pki/")

	p.PKID.Must(t, "POST", "pki/config/lint", map[string]any{"mode": "enforce", "sources": ""})
	p.PKID.Refused(t, "GET", path, nil, 500, "")
	if n := check.Certificates(t, p.PKID, "pki/"); n != certificates {
		t.Errorf("%d certificates, there were %d", n, certificates)
	}
	if log := p.PKID.Log(); !strings.Contains(log, "the OCSP responder has no new certificate") || !strings.Contains(log, finding) {
		t.Error("the log does not say why")
	}
	everySource := "CABF_BR,CABF_EV,CABF_SMIME_BR,CABF_CS_BR,RFC3279,RFC5480,RFC5891,RFC6962,RFC8813,Mozilla,Apple,Chrome,ETSI_ESI,Community"
	p.PKID.Must(t, "POST", "pki/config/lint", map[string]any{"sources": everySource, "waive": finding})
	p.PKID.Restart() // it would be tried again only after a while
	p.PKID.Must(t, "GET", path, nil)
	p.PKID.Must(t, "POST", "pki/config/lint", map[string]any{"mode": "warn", "waive": ""})
	p.PKID.Restart()
	p.PKID.Must(t, "GET", path, nil)
	if log := p.PKID.Log(); !strings.Contains(log, "an OCSP responder's certificate is signed against which a lint speaks") {
		t.Error("the log does not say what the lint found")
	}
}

// TestLintSettings: what makes no sense is refused and changes nothing, and
// what was set is there after a restart.
func TestLintSettings(t *testing.T) {
	p := daemon.Start(t)
	ca(t, p)
	if got := p.PKID.Must(t, "GET", "pki/config/lint", nil).Data; !reflect.DeepEqual(got, lintSettings("warn", nil, nil)) {
		t.Errorf("the default is %v", got)
	}
	want := lintSettings("enforce", []any{tooLong}, []any{"CABF_BR", "Mozilla"})
	if got := p.PKID.Must(t, "POST", "pki/config/lint", want).Data; !reflect.DeepEqual(got, want) {
		t.Errorf("answered %v", got)
	}
	for _, c := range []struct {
		body  map[string]any
		words string
	}{
		{map[string]any{"mode": "loud"}, `mode: unknown mode "loud"`},
		{map[string]any{"waive": "e_subject_organisation_name_max_length"}, `waive: unknown lint "e_subject_organisation_name_max_length": is "` + tooLong + `" meant?`},
		{map[string]any{"mode": "warn", "sources": "CABF"}, `sources: unknown source of lints "CABF"`},
		{map[string]any{"mode": "warn", "waive": map[string]any{"a": 1}}, "waive"},
	} {
		p.PKID.Refused(t, "POST", "pki/config/lint", c.body, 400, c.words)
	}
	p.PKID.Refused(t, "POST", "pki/roles/bad", map[string]any{"lint_waive": "e_no_such_lint_at_all"}, 400, "lint_waive: unknown lint")
	p.PKID.Refused(t, "POST", "pki/roles/bad", map[string]any{"lint": "always"}, 400, `lint: unknown mode "always"`)
	p.PKID.Refused(t, "GET", "pki/roles/bad", nil, 404, "")

	p.PKID.Restart()
	if got := p.PKID.Must(t, "GET", "pki/config/lint", nil).Data; !reflect.DeepEqual(got, want) {
		t.Errorf("after a restart: %v", got)
	}
}

func lintSettings(mode string, waive, sources []any) map[string]any {
	return map[string]any{"mode": mode, "waive": append([]any{}, waive...), "sources": append([]any{}, sources...)}
}
