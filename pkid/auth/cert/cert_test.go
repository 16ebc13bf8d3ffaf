package cert_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"math/big"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hsmpki/hsmpki/pkid/auth/cert"
	"github.com/hsmpki/hsmpki/pkid/store"
	"github.com/hsmpki/hsmpki/pkid/store/pebblestore"
	"github.com/hsmpki/hsmpki/pkid/token"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

var now = time.Now()

// holder is somebody with a certificate and its key.
type holder struct {
	*x509.Certificate
	key *ecdsa.PrivateKey
}

var serials int64

// issue makes a certificate; without an issuer it is its own. Of the template is
// what the default is not.
func issue(t *testing.T, issuer *holder, template x509.Certificate) *holder {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	serials++
	template.SerialNumber = big.NewInt(serials)
	if template.NotBefore.IsZero() {
		template.NotBefore, template.NotAfter = now.Add(-time.Hour), now.Add(time.Hour)
	}
	if issuer == nil {
		issuer = &holder{&template, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, issuer.Certificate, key.Public(), issuer.key)
	must(t, err)
	c, err := x509.ParseCertificate(der)
	must(t, err)
	return &holder{c, key}
}

func authority(t *testing.T, issuer *holder, name string) *holder {
	t.Helper()
	return issue(t, issuer, x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign})
}

var forClients = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}

func text(holders ...*holder) (out string) {
	for _, h := range holders {
		out += string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.Raw}))
	}
	return out
}

func method(t *testing.T) *cert.Method {
	t.Helper()
	s, err := pebblestore.Open(pebblestore.Config{Path: "state", FS: vfs.NewMem(), MinFree: -1})
	must(t, err)
	t.Cleanup(func() { s.Close() })
	return &cert.Method{Space: store.AuthOf("m"), Store: s, Now: func() time.Time { return now },
		Revoked: func(context.Context, *x509.Certificate, *x509.Certificate) (bool, error) { return false, nil }}
}

func write(t *testing.T, m *cert.Method, name string, fields map[string]any) {
	t.Helper()
	must(t, m.WriteRole(t.Context(), name, vaultapi.NewParams(fields)))
}

// login gives the role that lets a certificate in, "" if none does.
func login(t *testing.T, m *cert.Method, name string, shown ...*holder) string {
	t.Helper()
	var chain []*x509.Certificate
	for _, h := range shown {
		chain = append(chain, h.Certificate)
	}
	spec, err := m.Login(t.Context(), name, chain, netip.MustParseAddr("192.0.2.1"))
	if _, is := errors.AsType[*cert.Refusal](err); err != nil && !is {
		t.Fatal(err)
	}
	if err != nil {
		t.Log(err)
		return ""
	}
	return spec.Meta["cert_name"]
}

// TestWhoseCertificates are let in, by one role that trusts a CA and a single
// certificate.
func TestWhoseCertificates(t *testing.T) {
	root := authority(t, nil, "Root")
	middle := authority(t, root, "Middle")
	twin := authority(t, nil, "Root") // the same name, another key
	template := x509.Certificate{Subject: pkix.Name{CommonName: "web"}, ExtKeyUsage: forClients}
	pinned := issue(t, nil, template)
	leaf := issue(t, root, template)
	issuing := issue(t, nil, x509.Certificate{Subject: pkix.Name{CommonName: "no CA"}, ExtKeyUsage: forClients, KeyUsage: x509.KeyUsageCertSign})
	past, future, server, none := template, template, template, template
	past.NotBefore, past.NotAfter = now.Add(-2*time.Hour), now.Add(-time.Second)
	future.NotBefore, future.NotAfter = now.Add(time.Minute), now.Add(time.Hour)
	server.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	none.ExtKeyUsage = nil
	pinnedPast := issue(t, nil, past)

	m := method(t)
	write(t, m, "web", map[string]any{"certificate": text(root, pinned, issuing, pinnedPast)})
	for _, c := range []struct {
		what  string
		shown []*holder
		in    bool
	}{
		{"of the CA", []*holder{leaf}, true},
		{"without a purpose", []*holder{issue(t, root, none)}, true},
		{"of a CA below", []*holder{issue(t, middle, template), middle}, true},
		{"the one itself", []*holder{pinned}, true},
		{"none", nil, false},
		{"of a CA below that is not shown", []*holder{issue(t, middle, template)}, false},
		{"of another CA with the name", []*holder{issue(t, twin, template)}, false},
		{"of another CA, shown with it", []*holder{issue(t, twin, template), twin, root}, false},
		{"its own", []*holder{issue(t, nil, template)}, false},
		{"expired", []*holder{issue(t, root, past)}, false},
		{"the one itself, expired", []*holder{pinnedPast}, false},
		{"not yet valid", []*holder{issue(t, root, future)}, false},
		{"for servers", []*holder{issue(t, root, server)}, false},
		{"of a leaf of the CA", []*holder{issue(t, leaf, template), leaf}, false},
		{"of the certificate that is trusted for itself alone", []*holder{issue(t, issuing, template), issuing}, false},
		{"somebody else's before the trusted one", []*holder{issue(t, nil, template), pinned}, false},
	} {
		if got := login(t, m, "web", c.shown...) != ""; got != c.in {
			t.Errorf("%s: let in: %v", c.what, got)
		}
	}
	if login(t, m, "other", leaf) != "" {
		t.Error("let in by a role that there is none of")
	}
}

// TestNames are the rules about what is in a certificate.
func TestNames(t *testing.T) {
	root := authority(t, nil, "Root")
	uri, err := url.Parse("spiffe://example.com/web")
	must(t, err)
	value, err := asn1.Marshal("gold")
	must(t, err)
	leaf := issue(t, root, x509.Certificate{
		Subject:  pkix.Name{CommonName: "web.example.com", OrganizationalUnit: []string{"ops", "dev"}},
		DNSNames: []string{"a.example.com", "b.example.org"}, EmailAddresses: []string{"web@example.com"}, URIs: []*url.URL{uri}, ExtKeyUsage: forClients,
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}, Value: value}},
	})
	const oid = "1.3.6.1.4.1.99999.1"
	for _, c := range []struct {
		field, patterns string
		in              bool
	}{
		{"allowed_names", "x,*.example.org", true}, {"allowed_names", "web@*", true}, {"allowed_names", "web.example.com", true},
		{"allowed_names", "example.com", false}, {"allowed_names", "spiffe://*", false},
		{"allowed_common_names", "web.*.com", true}, {"allowed_common_names", "a.example.com", false}, {"allowed_common_names", "WEB.example.com", false},
		{"allowed_dns_sans", "b.*", true}, {"allowed_dns_sans", "web.example.com", false},
		{"allowed_email_sans", "*@example.com", true}, {"allowed_email_sans", "*@example.org", false},
		{"allowed_uri_sans", "spiffe://example.com/*", true}, {"allowed_uri_sans", "spiffe://example.org/*", false},
		{"allowed_organizational_units", "dev", true}, {"allowed_organizational_units", "sales", false},
		{"required_extensions", oid + ":g*d", true}, {"required_extensions", oid + ":silver", false}, {"required_extensions", "1.2.3:*", false},
		{"required_extensions", oid + ":gold,1.2.3:x", false}, // each of them
		{"required_extensions", "hex:" + oid + ":1304*", true}, {"required_extensions", "hex:" + oid + ":0c*", false},
		{"token_bound_cidrs", "192.0.2.0/24", true}, {"token_bound_cidrs", "198.51.100.0/24", false},
	} {
		m := method(t)
		write(t, m, "web", map[string]any{"certificate": text(root), c.field: c.patterns, "allowed_metadata_extensions": oid + ",1.2.3"})
		if got := login(t, m, "web", leaf) != ""; got != c.in {
			t.Errorf("%s=%s: let in: %v", c.field, c.patterns, got)
		}
	}
	m := method(t)
	write(t, m, "a", map[string]any{"certificate": text(root), "allowed_common_names": "nobody"})
	write(t, m, "b", map[string]any{"certificate": text(root), "allowed_metadata_extensions": oid + ",1.2.3", "display_name": "shown", "token_policies": "web"})
	spec, err := m.Login(t.Context(), "", []*x509.Certificate{leaf.Certificate}, netip.Addr{})
	must(t, err)
	if spec.Meta["cert_name"] != "b" || spec.Meta["common_name"] != "web.example.com" || spec.Meta["serial_number"] != leaf.SerialNumber.String() ||
		spec.Meta["1-3-6-1-4-1-99999-1"] != "gold" || len(spec.Meta) != 6 || spec.DisplayName != "shown" || strings.Join(spec.Policies, ",") != "web" {
		t.Errorf("%+v", spec)
	}
}

// TestRevoked: neither a certificate that is on a CRL that was given is let in,
// nor what a CA on one has issued, nor what pkid itself has revoked.
func TestRevoked(t *testing.T) {
	root := authority(t, nil, "Root")
	middle := authority(t, root, "Middle")
	template := x509.Certificate{Subject: pkix.Name{CommonName: "web"}, ExtKeyUsage: forClients}
	leaf, other, below := issue(t, root, template), issue(t, root, template), issue(t, middle, template)
	m := method(t)
	write(t, m, "web", map[string]any{"certificate": text(root)})
	give := func(name string, revoked ...*holder) {
		t.Helper()
		list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: now.Add(-2 * time.Hour), NextUpdate: now.Add(-time.Hour)} // over: what it says still counts
		for _, h := range revoked {
			list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: h.SerialNumber, RevocationTime: now})
		}
		der, err := x509.CreateRevocationList(rand.Reader, list, root.Certificate, root.key)
		must(t, err)
		must(t, m.WriteCRL(t.Context(), name, vaultapi.NewParams(map[string]any{"crl": string(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}))})))
	}
	check := func(when string, leafIn, belowIn bool) {
		t.Helper()
		if login(t, m, "web", leaf) != "" != leafIn || login(t, m, "web", below, middle) != "" != belowIn || login(t, m, "web", other) == "" {
			t.Errorf("%s: not as expected", when)
		}
	}
	check("before", true, true)
	give("one", leaf)
	check("revoked", false, true)
	give("two", middle)
	check("its CA revoked", false, false)
	reopened := &cert.Method{Space: m.Space, Store: m.Store, Now: m.Now, Revoked: m.Revoked} // reads them from the store
	m = reopened
	check("after a restart", false, false)
	must(t, m.DeleteCRL(t.Context(), "one"))
	give("two")
	check("not on the list any more", true, true)

	m.Revoked = func(_ context.Context, c, issuer *x509.Certificate) (bool, error) {
		return issuer != nil && issuer.Equal(root.Certificate) && c.Equal(middle.Certificate), nil
	}
	check("by pkid itself", true, false)
	for _, bad := range []map[string]any{{}, {"url": "http://127.0.0.1/crl"}, {"crl": "nonsense"}, {"crl": text(root)}} {
		if err := m.WriteCRL(t.Context(), "bad", vaultapi.NewParams(bad)); err == nil {
			t.Errorf("%v is taken", bad)
		}
	}
}

// TestRenew: a token is renewed for the certificate that it was made for.
func TestRenew(t *testing.T) {
	root := authority(t, nil, "Root")
	template := x509.Certificate{Subject: pkix.Name{CommonName: "web"}, ExtKeyUsage: forClients}
	leaf, other := issue(t, root, template), issue(t, root, template)
	m := method(t)
	write(t, m, "web", map[string]any{"certificate": text(root), "token_policies": "web"})
	spec, err := m.Login(t.Context(), "web", []*x509.Certificate{leaf.Certificate}, netip.Addr{})
	must(t, err)
	tok := &token.Token{Meta: spec.Meta, Policies: token.SortPolicies(spec.Policies, true)}
	renews := func(shown ...*x509.Certificate) bool {
		t.Helper()
		err := m.Renew(t.Context(), tok, shown, netip.Addr{})
		if _, is := errors.AsType[*cert.Refusal](err); err != nil && !is {
			t.Fatal(err)
		}
		return err == nil
	}
	if !renews(leaf.Certificate) || renews(other.Certificate) || renews() {
		t.Error("renewed for another certificate, or not for the same")
	}
	must(t, m.Configure(t.Context(), vaultapi.NewParams(map[string]any{"disable_binding": true})))
	if !renews(other.Certificate) || !renews() {
		t.Error("not renewed although disable_binding is set")
	}
	must(t, m.Configure(t.Context(), vaultapi.NewParams(map[string]any{"disable_binding": false})))
	write(t, m, "web", map[string]any{"token_policies": "less"})
	if renews(leaf.Certificate) {
		t.Error("renewed although the role gives something else now")
	}
	write(t, m, "web", map[string]any{"token_policies": "web"})
	m.Now = func() time.Time { return now.Add(2 * time.Hour) }
	if renews(leaf.Certificate) {
		t.Error("renewed for an expired certificate")
	}
	m.Now = func() time.Time { return now }
	must(t, m.DeleteRole(t.Context(), "web"))
	if renews(leaf.Certificate) {
		t.Error("renewed although the role is gone")
	}
}

// TestRolesRefused are roles that make no sense.
func TestRolesRefused(t *testing.T) {
	root := authority(t, nil, "Root")
	server := issue(t, root, x509.Certificate{Subject: pkix.Name{CommonName: "web"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	m := method(t)
	for words, fields := range map[string]map[string]any{
		"there is none":              {},
		"certificates in PEM":        {"certificate": "nonsense"},
		"64 certificates in PEM":     {"certificate": text(root) + "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"},
		"client authentication":      {"certificate": text(server)},
		"oid:value":                  {"certificate": text(root), "required_extensions": "1.2.3"},
		"no OID":                     {"certificate": text(root), "allowed_metadata_extensions": "one"},
		"OCSP is not asked":          {"certificate": text(root), "ocsp_enabled": true},
		"cannot create root tokens":  {"certificate": text(root), "token_policies": "root"},
		"'token_ttl' cannot be":      {"certificate": text(root), "token_ttl": "2h", "token_max_ttl": "1h"},
		"error converting input for": {"certificate": text(root), "token_bound_cidrs": "here"},
	} {
		if err := m.WriteRole(t.Context(), "x", vaultapi.NewParams(fields)); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", words, err)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
