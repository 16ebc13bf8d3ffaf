package issuance_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/pkid/issuance"
)

// TestPrepareRefuses: each request is refused before the key is asked.
func TestPrepareRefuses(t *testing.T) {
	issuer := makeIssuer(t, "P-256")
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	extension := func(critical bool, value string, oid ...int) pkix.Extension {
		return pkix.Extension{Id: oid, Critical: critical, Value: []byte(value)}
	}
	for _, c := range []struct {
		name   string
		change func(*issuance.Request)
		reason string
	}{
		{"ends before it begins", func(r *issuance.Request) { r.NotAfter = r.NotBefore }, "is later than"},
		{"has ended", func(r *issuance.Request) { r.NotAfter = now.Add(-time.Second) }, "passed already"},
		{"begins too late", func(r *issuance.Request) { r.NotBefore = now.Add(6 * time.Minute) }, "ahead"},
		{"ends after the year 9999", func(r *issuance.Request) { r.NotAfter = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }, "year 9999"},
		{"the issuer's key", func(r *issuance.Request) { r.PublicKey = issuer.Certificate().PublicKey }, "issuer's own"},
		{"no key", func(r *issuance.Request) { r.PublicKey = nil }, "unsupported type"},
		{"a short RSA key", func(r *issuance.Request) { r.PublicKey = small.Public() }, "< 2048"},
		{"signs certificates", func(r *issuance.Request) { r.KeyUsage |= x509.KeyUsageCertSign }, "CertSign"},
		{"signs CRLs by a copied extension", func(r *issuance.Request) {
			r.ExtraExtensions = []pkix.Extension{extension(true, "\x03\x02\x01\x02", 2, 5, 29, 15)}
		}, "CRLSign"},
		{"is a CA by a copied extension", func(r *issuance.Request) {
			r.ExtraExtensions = []pkix.Extension{extension(true, "\x30\x03\x01\x01\xff", 2, 5, 29, 19)}
		}, "CA certificate"},
		{"names another issuer's key", func(r *issuance.Request) {
			r.ExtraExtensions = []pkix.Extension{extension(false, "\x30\x03\x80\x01\x01", 2, 5, 29, 35)}
		}, "issuer's to give"},
		{"names constraints", func(r *issuance.Request) {
			r.ExtraExtensions = []pkix.Extension{extension(true, "\x30\x00", 2, 5, 29, 30)}
		}, "issuer's to give"},
		{"an extension twice", func(r *issuance.Request) {
			e := extension(false, "\x05\x00", 1, 2, 3, 4)
			r.ExtraExtensions = []pkix.Extension{e, e}
		}, "duplicate"},
		{"a critical key identifier", func(r *issuance.Request) {
			r.ExtraExtensions = []pkix.Extension{extension(true, "\x04\x01\x01", 2, 5, 29, 14)}
		}, "critical"},
		{"malformed copied names", func(r *issuance.Request) {
			r.ExtraExtensions = []pkix.Extension{extension(false, "\x30\x05\x82", 2, 5, 29, 17)}
		}, "could not be read"},
		{"a name outside ASCII", func(r *issuance.Request) { r.DNSNames = []string{"bücher.example"} }, "outside ASCII"},
		{"an empty name", func(r *issuance.Request) { r.EmailAddresses = []string{""} }, "empty"},
		{"an empty attribute", func(r *issuance.Request) { r.Subject.Organization = []string{""} }, "empty"},
		{"nobody", func(r *issuance.Request) {
			*r = issuance.Request{PublicKey: r.PublicKey, NotBefore: r.NotBefore, NotAfter: r.NotAfter}
		}, "name nobody"},
		{"a notice too long", func(r *issuance.Request) {
			r.Policies = []issuance.Policy{{ID: asn1OID{1, 2, 3}, Notice: strings.Repeat("x", 201)}}
		}, "200"},
	} {
		t.Run(c.name, func(t *testing.T) {
			req := leafRequest()
			c.change(req)
			_, err := issuer.Prepare(req, now)
			var refused *issuance.Refusal
			if !errors.As(err, &refused) {
				t.Fatalf("got %v, want a refusal", err)
			}
			if !strings.Contains(err.Error(), c.reason) {
				t.Errorf("refused with %q, want %q in it", err, c.reason)
			}
		})
	}
}

// TestIssueOnce: a prepared certificate is signed once, by its own issuer's key.
func TestIssueOnce(t *testing.T) {
	issuer, other := makeIssuer(t, "P-256"), makeIssuer(t, "P-256")
	prepared, err := issuer.Prepare(leafRequest(), now)
	if err != nil {
		t.Fatal(err)
	}
	s := signer("P-256")
	if _, _, err := other.Issue(prepared, s); err == nil {
		t.Error("another issuer issued it")
	}
	if _, _, err := issuer.Issue(prepared, signer("P-384")); err == nil {
		t.Error("another key signed it")
	}
	if _, _, err := issuance.IssueRoot(prepared, s); err == nil {
		t.Error("it was issued as a root")
	}
	if s.asked != 0 {
		t.Errorf("the key was asked %d times before the checks were done", s.asked)
	}
	if _, _, err := issuer.Issue(prepared, s); err != nil {
		t.Fatal(err)
	}
	if _, _, err := issuer.Issue(prepared, s); err == nil || s.asked != 1 {
		t.Errorf("issued twice: %v, the key asked %d times", err, s.asked)
	}
}

// failing is a key that is away.
type failing struct{ *messageSigner }

var errAway = errors.New("away")

func (failing) SignMessage(_ io.Reader, _ []byte, _ crypto.SignerOpts) ([]byte, error) {
	return nil, errAway
}

// TestIssueFails: what the signer says comes through, and a wrong signature
// leaves nothing.
func TestIssueFails(t *testing.T) {
	for kind := range caKeys() {
		issuer := makeIssuer(t, kind)
		prepared, err := issuer.Prepare(leafRequest(), now)
		if err != nil {
			t.Fatal(err)
		}
		spoiled := signer(kind)
		spoiled.spoil = func(signature []byte) { signature[len(signature)-1] ^= 1 }
		if der, cert, err := issuer.Issue(prepared, spoiled); err == nil || der != nil || cert != nil {
			t.Errorf("%s: a wrong signature gave %v", kind, err)
		}
		if prepared, err = issuer.Prepare(leafRequest(), now); err != nil {
			t.Fatal(err)
		}
		if _, _, err := issuer.Issue(prepared, failing{signer(kind)}); !errors.Is(err, errAway) {
			t.Errorf("%s: got %v, want the signer's error", kind, err)
		}
	}
}

// TestNewIssuerRefuses certificates that cannot issue.
func TestNewIssuerRefuses(t *testing.T) {
	root := makeRoot(t, "P-256", nil)
	for name, change := range map[string]func(*x509.Certificate){
		"not a CA":       func(c *x509.Certificate) { c.IsCA = false },
		"no keyCertSign": func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign },
		"no subject":     func(c *x509.Certificate) { c.RawSubject = []byte{0x30, 0} },
		"strange key":    func(c *x509.Certificate) { c.PublicKey = "key" },
	} {
		broken := *root
		change(&broken)
		if _, err := issuance.NewIssuer(&broken, urls); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestUnsigned: what can be looked at before the key is asked is what is
// issued, but for a signature of the same length (of ECDSA, about the same).
func TestUnsigned(t *testing.T) {
	for kind := range caKeys() {
		issuer := makeIssuer(t, kind)
		prepared, err := issuer.Prepare(leafRequest(), now)
		if err != nil {
			t.Fatal(err)
		}
		unsigned, err := x509.ParseCertificate(prepared.Unsigned())
		if err != nil {
			t.Fatal(err)
		}
		_, issued, err := issuer.Issue(prepared, signer(kind))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(unsigned.RawTBSCertificate, issued.RawTBSCertificate) {
			t.Errorf("%s: another certificate was issued", kind)
		}
		if a, b := len(unsigned.Signature), len(issued.Signature); a-b > 8 || b-a > 8 {
			t.Errorf("%s: a dummy of %d octets for a signature of %d", kind, a, b)
		}
		if err := issuer.Certificate().CheckSignature(unsigned.SignatureAlgorithm, unsigned.RawTBSCertificate, unsigned.Signature); err == nil {
			t.Errorf("%s: the dummy is a signature", kind)
		}
	}
}

// TestChangedAfterLooking: whoever looks cannot change what is issued without
// its being refused.
func TestChangedAfterLooking(t *testing.T) {
	issuer := makeIssuer(t, "P-256")
	prepared, err := issuer.Prepare(leafRequest(), now)
	if err != nil {
		t.Fatal(err)
	}
	prepared.Unsigned()[100] ^= 1
	if _, _, err := issuer.Issue(prepared, signer("P-256")); err == nil || !strings.Contains(err.Error(), "not what was checked") {
		t.Errorf("issued what nobody looked at: %v", err)
	}
}
