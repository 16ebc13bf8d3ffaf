package server_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/config"
	"github.com/hsmpki/hsmpki/hsmd/server"
	"github.com/hsmpki/hsmpki/wire"
)

// constrained is everything, with rules for its key.
func constrained(rules string) string {
	return strings.Replace(everything, "allow_generate_key = true", "allow_generate_key = true\n  constraints {\n"+rules+"\n  }", 1)
}

// leaf is the TBSCertificate of a server, for a public key.
func leaf(t *testing.T, public crypto.PublicKey, edits ...func(*x509.Certificate)) []byte {
	t.Helper()
	serial := must[*big.Int](t)(rand.Int(rand.Reader, big.NewInt(1<<62)))
	template := &x509.Certificate{SerialNumber: serial.Add(serial, big.NewInt(1)), Subject: pkix.Name{CommonName: "www.example.com"}, DNSNames: []string{"www.example.com"},
		NotBefore: now, NotAfter: now.Add(time.Hour), BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature}
	for _, edit := range edits {
		edit(template)
	}
	issuer := &x509.Certificate{Subject: pkix.Name{CommonName: "Test"}, SubjectKeyId: []byte{1}}
	der := must[[]byte](t)(x509.CreateCertificate(rand.Reader, template, issuer, public, throwaway(t)))
	return must[*x509.Certificate](t)(x509.ParseCertificate(der)).RawTBSCertificate
}

// ask has a message signed by a key as hsmd's own user.
func (h *hsmd) ask(name string, key crypto.Signer, message []byte) error {
	h.t.Helper()
	_, err := h.as(own).Sign(ctx, &wire.SignRequest{Key: name, SPKI: spkiID(h.t, key.Public()), Scheme: wire.ECDSAP256SHA256, Message: message})
	return err
}

func ending(d time.Duration) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.NotAfter = now.Add(d) }
}

// TestConstraintsAreEnforced: what a rule forbids is denied by name, whole or in
// parts, and no token hears of it.
func TestConstraintsAreEnforced(t *testing.T) {
	h := start(t, constrained(`
    sign                  = ["certificate", "crl"]
    ca                    = false
    max_ttl               = "2h"
    max_crl_validity      = "71h"
    permitted_dns_domains = ["example.com"]
    public_key_types      = ["P256"]`))
	root := h.give("root", "P256")
	subject := throwaway(t).Public()
	if err := h.ask("root", root, leaf(t, subject)); err != nil {
		t.Fatal(err)
	}
	calls := h.token.count("sign")
	certificate, list := messages(t, x509.ECDSAWithSHA256, root, now)
	csr := must[[]byte](t)(x509.CreateCertificateRequest(nil, &x509.CertificateRequest{}, root))
	for what, c := range map[string]struct {
		message []byte
		rule    string
	}{
		"a CA":       {certificate, `constraints of "root": ca false: the certificate has cA in its basicConstraints`},
		"too long":   {leaf(t, subject, ending(3*time.Hour)), `constraints of "root": max_ttl 2h0m0s: notAfter is 2026-11-24T15:00:00Z`},
		"a name":     {leaf(t, subject, func(c *x509.Certificate) { c.DNSNames = []string{"evil.org"} }), `permitted_dns_domains example.com: the DNS name "evil.org" is not among them`},
		"a CRL":      {list, `constraints of "root": max_crl_validity 71h0m0s: nextUpdate is`},
		"a request":  {must[*x509.CertificateRequest](t)(x509.ParseCertificateRequest(csr)).RawTBSCertificateRequest, `sign certificate, crl: this is a certificate request`},
		"a response": {ocspResponse(now, true), `sign certificate, crl: this is an OCSP response`},
	} {
		for _, req := range []*wire.SignRequest{{Message: c.message}, {Parts: &slow{c.message}}} {
			req.Key, req.SPKI, req.Scheme = "root", spkiID(t, root.Public()), wire.ECDSAP256SHA256
			answer, err := h.as(own).Sign(ctx, req)
			if answer != nil {
				t.Errorf("signed: %s", what)
			}
			want(t, err, wire.Denied, c.rule)
		}
	}
	if n := h.token.count("sign") - calls; n != 0 {
		t.Errorf("the token was asked %d times", n)
	}
	if !strings.Contains(h.log.String(), `msg="not signed" key=root`) {
		t.Errorf("the log says nothing:\n%s", h.log)
	}
	_, err := h.as(own).Generate(ctx, &wire.GenerateRequest{Key: "root", ID: "ocsp", Responder: true})
	want(t, err, wire.Denied, "signs no OCSP responses")
}

// TestOwnKeysAreNoLeaves: no key certifies a managed key but as a CA's.
func TestOwnKeysAreNoLeaves(t *testing.T) {
	h := start(t, rsaAndEd)
	root, rsaKey := h.give("root", "P256"), h.give("rsa", "")
	for _, name := range []string{"root", "rsa"} {
		must[*wire.DescribeResponse](t)(h.as(own).Describe(ctx, &wire.DescribeRequest{Key: name, Find: true}))
	}
	for name, public := range map[string]crypto.PublicKey{"root": root.Public(), "rsa": rsaKey.Public()} {
		want(t, h.ask("root", root, leaf(t, public)), wire.Denied, "the certificate is for the managed key "+name)
		if err := h.ask("root", root, leaf(t, public, func(c *x509.Certificate) { c.IsCA, c.DNSNames = true, nil })); err != nil {
			t.Errorf("a CA certificate for %s: %v", name, err)
		}
	}
}

// TestConstraintsBelongToTheKeyPair: of two names of one key pair the rules of
// both hold, by whichever it is asked for.
func TestConstraintsBelongToTheKeyPair(t *testing.T) {
	h := start(t, constrained(`max_ttl = "2h"`)+`
managed_key "pkcs11" "alias" {
  library     = "soft"
  token_label = "ca"
  pin         = "pin-1234"
  key_label   = "alias"
  mechanism   = "0x1041"
  constraints {
    permitted_dns_domains = ["example.com"]
    rate                  = 1
  }
}`)
	root := h.give("root", "P256")
	h.token.keys["alias"] = root
	for _, name := range []string{"root", "alias"} {
		must[*wire.DescribeResponse](t)(h.as(own).Describe(ctx, &wire.DescribeRequest{Key: name, Find: true}))
	}
	subject := throwaway(t).Public()
	for _, name := range []string{"root", "alias"} {
		want(t, h.ask(name, root, leaf(t, subject, ending(3*time.Hour))), wire.Denied, `constraints of "root": max_ttl`)
		want(t, h.ask(name, root, leaf(t, subject, func(c *x509.Certificate) { c.DNSNames = []string{"evil.org"} })), wire.Denied, `constraints of "alias": permitted_dns_domains`)
	}
	if err := h.ask("root", root, leaf(t, subject)); err != nil {
		t.Fatal(err)
	}
	err := h.ask("alias", root, leaf(t, subject))
	want(t, err, wire.Busy, `constraints of "alias": rate 1`)
	if e, ok := errors.AsType[*wire.Error](err); !ok || e.RetryAfter != time.Second {
		t.Errorf("retry after %v", err)
	}
	_, err = h.as(own).Test(ctx, &wire.TestRequest{Key: "root"})
	want(t, err, wire.Busy, `constraints of "alias": rate 1`)
}

// TestReloadedConstraints: a request that begins after a reload is under the new
// rules, and what was counted stays counted.
func TestReloadedConstraints(t *testing.T) {
	h := start(t, constrained(`max_per_day = 2`))
	root := h.give("root", "P256")
	subject := throwaway(t).Public()
	for range 2 {
		if err := h.ask("root", root, leaf(t, subject)); err != nil {
			t.Fatal(err)
		}
	}
	want(t, h.ask("root", root, leaf(t, subject)), wire.Busy, "max_per_day 2")
	h.reload(constrained("max_per_day = 3\nmax_ttl = \"2h\""))
	want(t, h.ask("root", root, leaf(t, subject, ending(3*time.Hour))), wire.Denied, "max_ttl")
	if err := h.ask("root", root, leaf(t, subject)); err != nil {
		t.Fatal(err)
	}
	want(t, h.ask("root", root, leaf(t, subject)), wire.Busy, "max_per_day 3")
	if _, list := messages(t, x509.ECDSAWithSHA256, root, now); h.ask("root", root, list) != nil {
		t.Error("no CRL any more")
	}
}

// TestRestartBeginsNoDay: what was signed today counts after restarts, be it in
// the ledger or in the log alone, and after the loss of the ledger.
func TestRestartBeginsNoDay(t *testing.T) {
	const most = 1200 // the ledger notes how far it is every 500 lines, which each certificate has two of
	h := start(t, constrained(fmt.Sprintf("max_per_day = %d", most)))
	root := h.give("root", "P256")
	subject := throwaway(t).Public()
	for n := range most {
		if n%350 == 349 {
			if n > 1000 {
				h.ledgerDir = t.TempDir() // another, empty
			}
			h.restart()
		}
		if err := h.ask("root", root, leaf(t, subject)); err != nil {
			t.Fatalf("certificate %d: %v", n+1, err)
		}
	}
	h.restart()
	want(t, h.ask("root", root, leaf(t, subject)), wire.Busy, "max_per_day")
}

// TestDayBeforeItsBound: what was signed on a day before anything bounded the key
// counts for the bound that a reload brings.
func TestDayBeforeItsBound(t *testing.T) {
	h := start(t, everything)
	root := h.give("root", "P256")
	subject := throwaway(t).Public()
	for range 5 {
		if err := h.ask("root", root, leaf(t, subject)); err != nil {
			t.Fatal(err)
		}
	}
	h.reload(constrained("max_per_day = 6"))
	if err := h.ask("root", root, leaf(t, subject)); err != nil {
		t.Error(err)
	}
	want(t, h.ask("root", root, leaf(t, subject)), wire.Busy, "max_per_day 6")
}

func (h *hsmd) reload(text string) {
	h.t.Helper()
	cfg, err := config.ParseHSMD("hsmd.hcl", []byte(text))
	if err != nil {
		h.t.Fatal(err)
	}
	h.config = cfg
	if err := h.srv.Replace(context.Background(), func(now *server.State) (*server.State, error) {
		next := h.state()
		next.Grants = now.Grants
		return next, nil
	}); err != nil {
		h.t.Fatal(err)
	}
}

// TestConstraintsOfWireKeys: those of wire_keys are laid under what is defined
// over the wire, and under internal keys.
func TestConstraintsOfWireKeys(t *testing.T) {
	h := start(t, strings.Replace(everything, `wire_keys { libraries = ["soft"] }`, `wire_keys {
  libraries = ["soft"]
  constraints { max_ttl = "2h" }
}`, 1))
	must[*wire.ConfigureResponse](t)(h.configure(defined("learn", "learn")))
	key := h.give("learn", "P256")
	subject := throwaway(t).Public()
	if err := h.ask("learn", key, leaf(t, subject)); err != nil {
		t.Error(err)
	}
	want(t, h.ask("learn", key, leaf(t, subject, ending(3*time.Hour))), wire.Denied, `constraints of "wire_keys": max_ttl 2h0m0s`)
	root := h.give("root", "P256")
	if err := h.ask("root", root, leaf(t, subject, ending(3*time.Hour))); err != nil {
		t.Errorf("a key of the configuration: %v", err)
	}
}

// TestResponderIsExempt: under rules for servers, hsmd's own responder has its
// certificate and answers, and nobody else has one.
func TestResponderIsExempt(t *testing.T) {
	h := start(t, constrained(`
    extended_key_usages = ["server_auth"]
    public_key_types    = ["RSA-4096"]
    max_ttl             = "1h"
    max_ocsp_validity   = "12h"
    max_per_day         = 1`))
	root := h.give("root", "P256")
	key := h.responder(own)
	ocsp := func(c *x509.Certificate) {
		c.ExtKeyUsage, c.DNSNames, c.NotAfter = []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}, nil, now.Add(7*24*time.Hour)
	}
	public := must[any](t)(x509.ParsePKIXPublicKey(key.Key.PublicKey))
	for range 2 { // which do not count for the day
		if err := h.ask("root", root, leaf(t, public, ocsp)); err != nil {
			t.Error(err)
		}
	}
	want(t, h.ask("root", root, leaf(t, throwaway(t).Public(), ocsp)), wire.Denied, `constraints of "root": max_ttl`)
	want(t, h.ask("root", root, leaf(t, public)), wire.Denied, `constraints of "root": public_key_types`)
	must[*wire.SignResponse](t)(h.as(own).Sign(ctx, respond(key, ocspResponse(now, true))))
	h.reload(constrained(`max_ocsp_validity = "11h"`))
	_, err := h.as(own).Sign(ctx, respond(key, ocspResponse(now, true)))
	want(t, err, wire.Denied, `constraints of "root": max_ocsp_validity 11h0m0s`)
	h.reload(constrained(`sign = ["certificate"]`))
	_, err = h.as(own).Sign(ctx, respond(key, ocspResponse(now, true)))
	want(t, err, wire.Denied, `constraints of "root": sign certificate`)
}

// TestLongListUnderConstraints: a CRL whose end breaks a rule is denied after it
// was read, in parts.
func TestLongListUnderConstraints(t *testing.T) {
	h := start(t, constrained(`max_crl_validity = "72h"`))
	root := h.give("root", "P256")
	_, list := messages(t, x509.ECDSAWithSHA256, root, now)
	req := &wire.SignRequest{Key: "root", SPKI: spkiID(t, root.Public()), Scheme: wire.ECDSAP256SHA256, Parts: bytes.NewReader(list)}
	must[*wire.SignResponse](t)(h.as(own).Sign(ctx, req))
	h.reload(constrained(`issuer = ["file:/nowhere"]` + "\n" + `max_crl_validity = "1h"`))
	req.Parts = bytes.NewReader(list)
	_, err := h.as(own).Sign(ctx, req)
	want(t, err, wire.Denied, "max_crl_validity 1h0m0s")
}
