package test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/test/daemon"
	"github.com/hsmpki/hsmpki/test/softhsm"
	"github.com/hsmpki/hsmpki/wire"
)

// strict is a key that issues to servers of one domain, and nothing else.
const strict = `
managed_key "pkcs11" "issuing" {
  library            = "softhsm"
  token_label        = %q
  pin                = %q
  key_label          = "issuing"
  mechanism          = "0x1041"
  curve              = "P256"
  allow_generate_key = true
  constraints {
    sign                  = ["certificate", "crl", "ocsp"]
    ca                    = false
    max_ttl               = "24h"
    max_backdate          = "1h"
    max_crl_validity      = "24h"
    max_ocsp_validity     = "12h"
    permitted_dns_domains = ["example.com"]
    excluded_dns_domains  = ["root.example.com"]
    public_key_types      = ["P256"]
    extended_key_usages   = ["server_auth"]
    permitted_extensions  = ["2.5.29.31"]
    permitted_policies    = ["2.23.140.1.2.1"]
  }
}
`

type change = func(*x509.Certificate)

// serverTBS is the to-be-signed part of a server's certificate, changed.
func serverTBS(t *testing.T, public crypto.PublicKey, changes ...change) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{SerialNumber: serial(t), Subject: pkix.Name{CommonName: "www.example.com"}, DNSNames: []string{"www.example.com"},
		NotBefore: now.Add(-time.Minute), NotAfter: now.Add(time.Hour), BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	for _, c := range changes {
		c(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, &x509.Certificate{Subject: pkix.Name{CommonName: "CA"}}, public, key)
	if err != nil {
		t.Fatal(err)
	}
	var outer struct{ TBS, Algorithm, Signature asn1.RawValue }
	if _, err := asn1.Unmarshal(der, &outer); err != nil {
		t.Fatal(err)
	}
	return outer.TBS.FullBytes
}

// withKey puts another SubjectPublicKeyInfo into a TBSCertificate.
func withKey(t *testing.T, tbs, spki []byte) []byte {
	t.Helper()
	var elements []asn1.RawValue
	if _, err := asn1.Unmarshal(tbs, &elements); err != nil {
		t.Fatal(err)
	}
	elements[6] = asn1.RawValue{FullBytes: spki}
	out, err := asn1.Marshal(elements)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// compressedKey is a P-256 key with its point compressed.
func compressedKey(t *testing.T, key *ecdsa.PublicKey) []byte {
	t.Helper()
	point, err := key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	compressed := append([]byte{2 | point[64]&1}, point[1:33]...)
	type algorithm struct{ ID, Curve asn1.ObjectIdentifier }
	out, err := asn1.Marshal(struct {
		Algorithm algorithm
		Key       asn1.BitString
	}{algorithm{asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}, asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 7}},
		asn1.BitString{Bytes: compressed, BitLength: 8 * 33}})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestConstraintsOverTheSocket tries each way around a key's rules, and then that
// what they allow is still signed.
func TestConstraintsOverTheSocket(t *testing.T) {
	token := softhsm.New(t)
	h := daemon.NewHSMD(t, daemon.Libraries(token.Store)+fmt.Sprintf(strict, token.Label, token.PIN))
	h.Start()
	s := signerOf(t, wireClient(t, h.Socket), "issuing")
	subject := func() crypto.PublicKey {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return key.Public()
	}
	names := func(all ...string) change { return func(c *x509.Certificate) { c.DNSNames = all } }
	cn := func(s string) change { return func(c *x509.Certificate) { c.Subject.CommonName, c.DNSNames = s, nil } }
	usage := func(u x509.KeyUsage) change { return func(c *x509.Certificate) { c.KeyUsage = u } }
	eku := func(u ...x509.ExtKeyUsage) change { return func(c *x509.Certificate) { c.ExtKeyUsage = u } }
	raw := func(critical bool, value string, id ...int) change {
		return func(c *x509.Certificate) {
			c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: id, Critical: critical, Value: []byte(value)})
		}
	}
	noBasic := func(c *x509.Certificate) { c.BasicConstraintsValid = false }
	csr, err := x509.ParseCertificateRequest(decode(t, request(t, "www.example.com")))
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	attacks := map[string][]byte{
		"a request":                       csr.RawTBSCertificateRequest,
		"a CA":                            serverTBS(t, subject(), func(c *x509.Certificate) { c.IsCA = true }),
		"keyCertSign":                     serverTBS(t, subject(), usage(x509.KeyUsageCertSign), noBasic),
		"cRLSign":                         serverTBS(t, subject(), usage(x509.KeyUsageCRLSign)),
		"Netscape's CA":                   serverTBS(t, subject(), noBasic, raw(false, "\x03\x02\x00\x07", 2, 16, 840, 1, 113730, 1, 1)),
		"ends late":                       serverTBS(t, subject(), func(c *x509.Certificate) { c.NotAfter = time.Now().Add(25 * time.Hour) }),
		"begins early":                    serverTBS(t, subject(), func(c *x509.Certificate) { c.NotBefore = time.Now().Add(-2 * time.Hour) }),
		"another domain":                  serverTBS(t, subject(), names("www.example.com", "www.example.org")),
		"another domain, wildcard":        serverTBS(t, subject(), names("*.com")),
		"NUL in a name":                   serverTBS(t, subject(), names("evil.org\x00.example.com")),
		"a wildcard over the excluded":    serverTBS(t, subject(), names("*.example.com")),
		"the excluded, upper case":        serverTBS(t, subject(), names("ROOT.example.com")),
		"an address":                      serverTBS(t, subject(), func(c *x509.Certificate) { c.IPAddresses = append(c.IPAddresses, []byte{10, 0, 0, 1}) }),
		"an e-mail address":               serverTBS(t, subject(), func(c *x509.Certificate) { c.EmailAddresses = []string{"a@example.com"} }),
		"another name, UPN":               serverTBS(t, subject(), raw(false, "\x30\x16\xa0\x14\x06\x0a\x2b\x06\x01\x04\x01\x82\x37\x14\x02\x03\xa0\x06\x0c\x04a@b.", 2, 5, 29, 17)),
		"common name, host":               serverTBS(t, subject(), cn("www.example.org")),
		"common name, address":            serverTBS(t, subject(), cn("10.0.0.1")),
		"common name, e-mail address":     serverTBS(t, subject(), cn("root@example.com")),
		"common name, Cyrillic":           serverTBS(t, subject(), cn("www.\u0435xample.com")),
		"P-384":                           serverTBS(t, p384.Public()),
		"compressed key":                  withKey(t, serverTBS(t, subject()), compressedKey(t, subject().(*ecdsa.PublicKey))),
		"hsmd's own key":                  serverTBS(t, s.public),
		"hsmd's own key, compressed":      withKey(t, serverTBS(t, subject()), compressedKey(t, s.public)),
		"client too":                      serverTBS(t, subject(), eku(x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth)),
		"any usage":                       serverTBS(t, subject(), eku(x509.ExtKeyUsageAny)),
		"no usage":                        serverTBS(t, subject(), eku()),
		"a responder":                     serverTBS(t, subject(), eku(x509.ExtKeyUsageOCSPSigning)),
		"usage twice":                     serverTBS(t, subject(), eku(), raw(false, "\x30\x14\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x01\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x01", 2, 5, 29, 37)),
		"usage with octets behind":        serverTBS(t, subject(), eku(), raw(false, "\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x01\x05\x00", 2, 5, 29, 37)),
		"usage with a long length":        serverTBS(t, subject(), eku(), raw(false, "\x30\x81\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x01", 2, 5, 29, 37)),
		"keyUsage with zeros behind":      serverTBS(t, subject(), usage(0), raw(true, "\x03\x03\x07\x80\x00", 2, 5, 29, 15)),
		"names twice":                     serverTBS(t, subject(), raw(false, "\x30\x0d\x82\x0bexample.com", 2, 5, 29, 17), raw(false, "\x30\x0d\x82\x0bexample.org", 2, 5, 29, 17)),
		"an extension that is not listed": serverTBS(t, subject(), raw(false, "\x05\x00", 1, 2, 3)),
		"unknown and critical":            serverTBS(t, subject(), raw(true, "\x05\x00", 1, 2, 3)),
		"anyPolicy":                       serverTBS(t, subject(), raw(false, "\x30\x08\x30\x06\x06\x04\x55\x1d\x20\x00", 2, 5, 29, 32)),
		"octets behind":                   append(serverTBS(t, subject()), 0),
		"a long CRL":                      listUntil(t, 30*time.Hour),
	}
	for what, message := range attacks {
		for _, inParts := range []bool{false, true} {
			err := s.ask(func(r *wire.SignRequest) {
				if r.Message = message; inParts {
					r.Message, r.Parts = nil, bytes.NewReader(message)
				}
			})
			if !errors.Is(err, wire.Denied) && !errors.Is(err, wire.Invalid) {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
	sound := map[string][]byte{
		"a server":  serverTBS(t, subject()),
		"its names": serverTBS(t, subject(), names("example.com", "a.b.example.com", "*.a.example.com"), raw(false, "\x30\x0a\x30\x08\x06\x06\x67\x81\x0c\x01\x02\x01", 2, 5, 29, 32)),
		"a CRL":     listUntil(t, 20*time.Hour),
	}
	for what, message := range sound {
		if err := s.ask(func(r *wire.SignRequest) { r.Parts = bytes.NewReader(message) }); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	if log := h.Log(); !strings.Contains(log, "not signed") || strings.Count(log, "not signed") > len(attacks) {
		t.Errorf("%d lines of the log tell of refusals", strings.Count(log, "not signed"))
	}
}

// listUntil is the to-be-signed part of a CRL that goes in parts.
func listUntil(t *testing.T, life time.Duration) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	entries := slices.Repeat([]x509.RevocationListEntry{{SerialNumber: big.NewInt(5), RevocationTime: time.Now()}}, 5000)
	for i := range entries {
		entries[i].SerialNumber = big.NewInt(int64(i + 1))
	}
	issuer := &x509.Certificate{Subject: pkix.Name{CommonName: "CA"}, SubjectKeyId: []byte{1}, KeyUsage: x509.KeyUsageCRLSign, IsCA: true}
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now(), NextUpdate: time.Now().Add(life), RevokedCertificateEntries: entries}, issuer, key)
	if err != nil {
		t.Fatal(err)
	}
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		t.Fatal(err)
	}
	return list.RawTBSRevocationList
}
