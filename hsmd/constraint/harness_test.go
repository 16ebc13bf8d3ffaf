package constraint_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/hsmpki/hsmpki/config"
	"github.com/hsmpki/hsmpki/hsmd/constraint"
	"github.com/hsmpki/hsmpki/hsmd/tbs"
	"github.com/hsmpki/hsmpki/wire"
)

// now is a Tuesday.
var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// parse reads the rules of a constraints block.
func parse(rules string) (*config.Constraint, error) {
	cfg, err := config.ParseHSMD("hsmd.hcl", []byte(`
kms_library "pkcs11" {
  name    = "soft"
  library = "/lib/soft.so"
}
wire_keys {
  libraries = ["soft"]
  constraints {
    `+rules+`
  }
}`))
	if err != nil {
		return nil, err
	}
	return cfg.WireKeys.Constraints, nil
}

func set(t testing.TB, rules string, issuers ...*x509.Certificate) *constraint.Set {
	t.Helper()
	c, err := parse(rules)
	if err != nil {
		t.Fatal(err)
	}
	s, err := constraint.New("issuing", c, issuers)
	if err != nil {
		t.Fatalf("%s: %v", rules, err)
	}
	return s
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func template() *x509.Certificate {
	return &x509.Certificate{SerialNumber: big.NewInt(77), Subject: pkix.Name{CommonName: "Some Body"}, NotBefore: now, NotAfter: now.Add(time.Hour),
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature}
}

// certificate is what hsmd sees of a certificate that the edits make.
func certificate(t testing.TB, edits ...func(*x509.Certificate)) *tbs.Summary {
	t.Helper()
	return certificateFor(t, newKey(t).Public(), edits...)
}

func certificateFor(t testing.TB, public crypto.PublicKey, edits ...func(*x509.Certificate)) *tbs.Summary {
	t.Helper()
	leaf, key := template(), newKey(t)
	for _, edit := range edits {
		edit(leaf)
	}
	issuer := &x509.Certificate{Subject: pkix.Name{CommonName: "Issuing CA"}, SubjectKeyId: []byte{1, 2}}
	der, err := x509.CreateCertificate(rand.Reader, leaf, issuer, public, key)
	if err != nil {
		t.Fatal(err)
	}
	// x509 makes more than it reads.
	in := cryptobyte.String(der)
	var body, message cryptobyte.String
	if !in.ReadASN1(&body, asn1.SEQUENCE) || !body.ReadASN1Element(&message, asn1.SEQUENCE) {
		t.Fatal("no certificate")
	}
	return summary(t, message)
}

func parseTBS(message []byte) (*tbs.Summary, error) {
	return tbs.Parse(message, tbs.Rules{Now: now, Scheme: wire.ECDSAP256SHA256})
}

func issue(t testing.TB, template, issuer *x509.Certificate, subject, key *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, subject.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func summary(t testing.TB, message []byte) *tbs.Summary {
	t.Helper()
	m, err := parseTBS(message)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// extra adds an extension.
func extra(oid string, critical bool, value []byte) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		id, err := x509.ParseOID(oid)
		if err != nil {
			panic(err)
		}
		var arcs []int
		for arc := range strings.SplitSeq(id.String(), ".") {
			n, _ := new(big.Int).SetString(arc, 10)
			arcs = append(arcs, int(n.Int64()))
		}
		c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: arcs, Critical: critical, Value: value})
	}
}

// san is a subjectAltName of raw names.
func san(names ...[]byte) func(*x509.Certificate) {
	return extra("2.5.29.17", false, tlv(0x30, names...))
}

func tlv(tag byte, contents ...[]byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(asn1.Tag(tag), func(b *cryptobyte.Builder) {
		for _, c := range contents {
			b.AddBytes(c)
		}
	})
	return b.BytesOrPanic()
}

// refused checks that a set refuses by a rule; "": that it does not.
func refused(t *testing.T, what string, s *constraint.Set, m *tbs.Summary, f constraint.Facts, rule string) {
	t.Helper()
	if f.Now.IsZero() {
		f.Now = now
	}
	err := s.Check(m, f)
	if rule == "" {
		if err != nil {
			t.Errorf("%s: refused: %v", what, err)
		}
		return
	}
	refusal, ok := errors.AsType[*constraint.Refusal](err)
	if !ok || !strings.Contains(refusal.Error(), rule) {
		t.Errorf("%s: got %v, want a refusal by %q", what, err, rule)
	}
}
