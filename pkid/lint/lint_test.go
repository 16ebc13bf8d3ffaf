package lint_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/mldsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/pkid/issuance"
	"github.com/hsmpki/hsmpki/pkid/lint"
	"github.com/hsmpki/hsmpki/pkid/role"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

var now = time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)

// key signs messages, as a key behind hsmd does.
type key struct{ crypto.Signer }

func (k key) SignMessage(_ io.Reader, message []byte, opts crypto.SignerOpts) ([]byte, error) {
	return crypto.SignMessage(k.Signer, rand.Reader, message, opts)
}

// SignStream signs what it reads to its end, as a CRL is signed.
func (k key) SignStream(message io.Reader, opts crypto.SignerOpts) ([]byte, error) {
	whole, err := io.ReadAll(message)
	if err != nil {
		return nil, err
	}
	return k.SignMessage(nil, whole, opts)
}

// keys is one of each kind that a CA may have, by names of key types.
var keys = sync.OnceValue(func() map[string]crypto.Signer {
	made := map[string]crypto.Signer{}
	for name, curve := range map[string]elliptic.Curve{"ec 256": elliptic.P256(), "ec 384": elliptic.P384(), "ec 521": elliptic.P521()} {
		made[name] = must(ecdsa.GenerateKey(curve, rand.Reader))
	}
	made["rsa 2048"] = must(rsa.GenerateKey(rand.Reader, 2048))
	_, private, err := ed25519.GenerateKey(rand.Reader)
	made["ed25519 0"] = must(private, err)
	made["ml-dsa 44"] = must(mldsa.GenerateKey(mldsa.MLDSA44()))
	made["ml-dsa 65"] = must(mldsa.GenerateKey(mldsa.MLDSA65()))
	made["ml-dsa 87"] = must(mldsa.GenerateKey(mldsa.MLDSA87()))
	return made
})

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

var urls = issuance.URLs{
	IssuingCertificates:   []string{"http://ca.example.com/v1/pki/ca"},
	CRLDistributionPoints: []string{"http://ca.example.com/v1/pki/crl"},
	OCSPServers:           []string{"http://ca.example.com/v1/pki/ocsp"},
}

func terms() *role.Terms {
	return &role.Terms{Now: now, DefaultTTL: 768 * time.Hour, MaxTTL: 87600 * time.Hour, Beyond: role.BeyondPermit}
}

// root prepares a root as root/generate does, of a key of the kind.
func root(t testing.TB, kind string, params map[string]any, change func(*issuance.CARequest)) *issuance.Prepared {
	t.Helper()
	wish, err := role.ReadRoot(vaultapi.NewParams(params))
	if err != nil {
		t.Fatal(err)
	}
	req, _, err := wish.Request(terms())
	if err != nil {
		t.Fatal(err)
	}
	req.PublicKey = keys()[kind].Public()
	if change != nil {
		change(req)
	}
	prepared, err := issuance.PrepareRoot(req, now)
	if err != nil {
		t.Fatal(err)
	}
	return prepared
}

// issuer is a root of the kind that issues with all URLs.
func issuer(t testing.TB, kind string) *issuance.Issuer {
	t.Helper()
	_, cert, err := issuance.IssueRoot(root(t, kind, map[string]any{"common_name": "Root", "ttl": "8760h"}, nil), key{keys()[kind]})
	if err != nil {
		t.Fatal(err)
	}
	made, err := issuance.NewIssuer(cert, urls)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// leaf prepares a certificate as issue does, under a role and for a wish.
func leaf(t testing.TB, by *issuance.Issuer, kind string, fields, wish map[string]any, change func(*issuance.Request)) *issuance.Prepared {
	t.Helper()
	r, _, err := role.FromParams(vaultapi.NewParams(fields))
	if err != nil {
		t.Fatal(err)
	}
	req, _, err := r.Request(role.ReadWish(vaultapi.NewParams(wish)), nil, terms())
	if err != nil {
		t.Fatal(err)
	}
	req.PublicKey = keys()[kind].Public()
	if change != nil {
		change(req)
	}
	prepared, err := by.Prepare(req, now)
	if err != nil {
		t.Fatal(err)
	}
	return prepared
}

// TestDefaults: what a CA of ours makes by default gives a lint of RFC 5280
// nothing to say, of whatever level.
func TestDefaults(t *testing.T) {
	for kind := range keys() {
		for name, params := range map[string]map[string]any{
			"root": {"common_name": "Root"},
			"root with everything": {"common_name": "Root", "ttl": "87600h", "organization": "Example", "country": "NL", "max_path_length": 1,
				"permitted_dns_domains": "example.com", "permitted_ip_ranges": "10.0.0.0/8", "ou": "PKI", "province": "Noord-Holland",
				"locality": "Amsterdam", "street_address": "Dam 1", "postal_code": "1012"},
		} {
			nothing(t, kind+" "+name, root(t, kind, params, nil))
		}
		by := issuer(t, kind)
		for leafKind := range keys() {
			if leafKind == kind {
				continue // no key is certified by itself
			}
			nothing(t, kind+" OCSP responder", responder(t, by, leafKind))
			fields := strings.Fields(leafKind)
			r := map[string]any{"key_type": fields[0], "key_bits": fields[1], "allowed_domains": "example.com", "allow_subdomains": true}
			for name, wish := range map[string]map[string]any{
				"host":     {"common_name": "web.example.com"},
				"wildcard": {"common_name": "*.example.com", "alt_names": "a.example.com", "ip_sans": "10.0.0.1,2001:db8::1"},
				"no CN":    {"common_name": "web.example.com", "alt_names": "a@web.example.com"},
			} {
				nothing(t, kind+" "+leafKind+" "+name, leaf(t, by, leafKind, r, wish, nil))
			}
		}
	}
}

// responder prepares a certificate like that of pkid/ocsp's responder.
func responder(t *testing.T, by *issuance.Issuer, kind string) *issuance.Prepared {
	t.Helper()
	req := plain()
	req.Subject, req.DNSNames = pkix.Name{CommonName: "OCSP Responder"}, nil
	req.PublicKey, req.ExtendedKeyUsage = keys()[kind].Public(), []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}
	extra(false, asn1.NullBytes, 1, 3, 6, 1, 5, 5, 7, 48, 1, 5)(req)
	prepared, err := by.Prepare(req, now)
	if err != nil {
		t.Fatal(err)
	}
	return prepared
}

func nothing(t *testing.T, what string, p *issuance.Prepared) {
	t.Helper()
	var s lint.Settings
	for _, f := range s.Certificate(p.Unsigned(), p.SelfSigned()) {
		t.Errorf("%s: %v", what, f)
	}
}
