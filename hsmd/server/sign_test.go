package server_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/hsmd/managedkey"
	"github.com/hsmpki/hsmpki/wire"
)

// rsaAndEd adds keys of the other kinds to everything.
const rsaAndEd = everything + `
managed_key "pkcs11" "rsa" {
  library     = "soft"
  token_label = "ca"
  pin         = "pin-1234"
  key_label   = "rsa"
  mechanism   = "0x0001"
}
managed_key "pkcs11" "pss" {
  library     = "soft"
  token_label = "ca"
  pin         = "pin-1234"
  key_label   = "pss"
  mechanism   = "0x000D"
}
managed_key "pkcs11" "ed" {
  library     = "soft"
  token_label = "ca"
  pin         = "pin-1234"
  key_label   = "ed"
  mechanism   = "0x1057"
}
`

func TestSignsThroughSocket(t *testing.T) {
	h := start(t, strings.Replace(rsaAndEd, "wire_keys", `client "me" {
  user         = "`+uid()+`"
  capabilities = ["sign"]
}
wire_keys`, 1))
	client := h.dial()
	ctx := context.Background()
	for _, c := range []struct {
		name, curve string
		scheme      wire.SignatureScheme
		algorithm   x509.SignatureAlgorithm
	}{
		{"root", "P256", wire.ECDSAP256SHA256, x509.ECDSAWithSHA256},
		{"rsa", "", wire.RSAPKCS1SHA256, x509.SHA256WithRSA},
		{"rsa", "", wire.RSAPKCS1SHA384, x509.SHA384WithRSA},
		{"rsa", "", wire.RSAPKCS1SHA512, x509.SHA512WithRSA},
		{"pss", "", wire.RSAPSSSHA256, x509.SHA256WithRSAPSS},
		{"pss", "", wire.RSAPSSSHA512, x509.SHA512WithRSAPSS},
		{"ed", "Ed25519", wire.Ed25519, x509.PureEd25519},
	} {
		key := h.token.keys[c.name]
		if key == nil {
			key = h.give(c.name, c.curve)
		}
		certificate, list := messages(t, c.algorithm, key, now)
		public := must[*managedkey.Public](t)(managedkey.NewPublic(&wire.Definition{PKCS11: &wire.PKCS11Definition{Mechanism: mechanism[c.name]}}, der(t, key)))
		for _, message := range [][]byte{certificate, list} {
			for _, req := range []*wire.SignRequest{{Message: message}, {Parts: bytes.NewReader(message)}} {
				req.Key, req.SPKI, req.Scheme, req.Context = c.name, spkiID(t, key.Public()), c.scheme, "pki/ 1"
				got, err := client.Sign(ctx, req)
				if err != nil {
					t.Errorf("%s with %s, %d octets: %v", c.name, c.scheme, len(message), err)
					continue
				}
				signed := message
				if hash := c.scheme.Hash(); hash != 0 {
					sum := hash.New()
					sum.Write(message)
					signed = sum.Sum(nil)
				}
				if err := public.Verify(c.scheme, signed, got.Signature); err != nil {
					t.Errorf("%s with %s: %v", c.name, c.scheme, err)
				}
			}
		}
	}
}

var mechanism = map[string]uint64{"root": 0x1041, "rsa": 1, "pss": 0xD, "ed": 0x1057}

func der(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	return must[[]byte](t)(x509.MarshalPKIXPublicKey(key.Public()))
}

func TestRefusesToSign(t *testing.T) {
	h := start(t, everything)
	key := h.give("root", "P256")
	certificate, _ := messages(t, x509.ECDSAWithSHA256, key, now)
	ahead, _ := messages(t, x509.ECDSAWithSHA256, key, now.Add(6*time.Minute))
	id := spkiID(t, key.Public())
	ask := func(edit func(*wire.SignRequest)) error {
		req := &wire.SignRequest{Key: "root", SPKI: id, Scheme: wire.ECDSAP256SHA256, Message: certificate}
		edit(req)
		answer, err := h.as(own).Sign(context.Background(), req)
		if err != nil && answer != nil {
			t.Errorf("an answer beside %v", err)
		}
		return err
	}
	if err := ask(func(*wire.SignRequest) {}); err != nil {
		t.Fatal(err)
	}
	calls := h.token.count("sign")
	want(t, ask(func(r *wire.SignRequest) { r.Message, r.Digest = nil, make([]byte, 32) }), wire.Invalid, "not digests")
	want(t, ask(func(r *wire.SignRequest) { r.SPKI = nil }), wire.Invalid, "by the SHA-256 of its public key")
	want(t, ask(func(r *wire.SignRequest) { r.SPKI = make([]byte, 32) }), wire.KeyChanged, "is not the key pair it was")
	want(t, ask(func(r *wire.SignRequest) { r.Key = "none" }), wire.UnknownKey, `no managed key "none"`)
	want(t, ask(func(r *wire.SignRequest) { r.Scheme = wire.RSAPKCS1SHA256 }), wire.Invalid, "does not sign with rsa_pkcs1_sha256")
	want(t, ask(func(r *wire.SignRequest) { r.Scheme = 0x0201 }), wire.Invalid, "unknown signature scheme 0x0201")
	want(t, ask(func(r *wire.SignRequest) { r.Message = nil }), wire.Invalid, "ends early")
	want(t, ask(func(r *wire.SignRequest) { r.Message = []byte("hello, this is no DER at all") }), wire.Invalid, "the message to be signed has tag 0x68")
	want(t, ask(func(r *wire.SignRequest) { r.Message = certificate[:len(certificate)-1] }), wire.Invalid, "ends early")
	want(t, ask(func(r *wire.SignRequest) { r.Message = append(bytes.Clone(certificate), 0) }), wire.Invalid, "followed by other octets")
	want(t, ask(func(r *wire.SignRequest) { r.Message = ahead }), wire.Denied, "notBefore (2026-11-24T12:06:00Z)")
	want(t, ask(func(r *wire.SignRequest) { r.Parts = &slow{certificate} }), wire.Invalid, "not both")
	want(t, ask(func(r *wire.SignRequest) { r.Message, r.Parts = nil, &slow{ahead} }), wire.Denied, "notBefore")
	if h.token.count("sign") != calls {
		t.Errorf("the token was asked to sign %d times for what was refused", h.token.count("sign")-calls)
	}
	if err := ask(func(r *wire.SignRequest) { r.Message, r.Parts = nil, &slow{certificate} }); err != nil {
		t.Error(err)
	}
}

func TestCase62_SignatureThatDoesNotVerifyStays(t *testing.T) {
	h := start(t, everything)
	key := h.give("root", "P256")
	certificate, _ := messages(t, x509.ECDSAWithSHA256, key, now)
	h.token.flip = true
	req := &wire.SignRequest{Key: "root", SPKI: spkiID(t, key.Public()), Scheme: wire.ECDSAP256SHA256, Message: certificate}
	answer, err := h.as(own).Sign(context.Background(), req)
	want(t, err, wire.Internal, "does not verify")
	if answer != nil {
		t.Error("it was handed out")
	}
	if !strings.Contains(h.log.String(), "ALARM") {
		t.Error("no alarm in the log")
	}
	_, err = h.as(own).Test(context.Background(), &wire.TestRequest{Key: "root"})
	want(t, err, wire.Internal, "does not verify")
}

func TestKeyReplacedInTheToken(t *testing.T) {
	h := start(t, everything)
	old := h.give("root", "P256")
	certificate, _ := messages(t, x509.ECDSAWithSHA256, old, now)
	ask := func(key crypto.Signer) error {
		_, err := h.as(own).Sign(context.Background(), &wire.SignRequest{Key: "root", SPKI: spkiID(t, key.Public()), Scheme: wire.ECDSAP256SHA256, Message: certificate})
		return err
	}
	if err := ask(old); err != nil {
		t.Fatal(err)
	}
	next := h.give("root", "P256")
	want(t, ask(old), wire.KeyChanged, "")
	if err := ask(next); err != nil {
		t.Errorf("with the new key: %v", err)
	}
	want(t, ask(old), wire.KeyChanged, "is not the key pair it was")
}

func TestUsages(t *testing.T) {
	h := start(t, strings.Replace(everything, "allow_generate_key = true", `usages = ["verify"]`, 1))
	key := h.give("root", "P256")
	certificate, _ := messages(t, x509.ECDSAWithSHA256, key, now)
	_, err := h.as(own).Sign(context.Background(), &wire.SignRequest{Key: "root", SPKI: spkiID(t, key.Public()), Scheme: wire.ECDSAP256SHA256, Message: certificate})
	want(t, err, wire.Denied, "not for signing")
	_, err = h.as(own).Test(context.Background(), &wire.TestRequest{Key: "root"})
	want(t, err, wire.Denied, "not for signing")
}

func TestTestMessage(t *testing.T) {
	h := start(t, everything)
	key := h.give("root", "P256")
	a := must[*wire.TestResponse](t)(h.as(own).Test(context.Background(), &wire.TestRequest{Key: "root"}))
	b := must[*wire.TestResponse](t)(h.as(own).Test(context.Background(), &wire.TestRequest{Key: "root", Scheme: wire.ECDSAP256SHA256}))
	head := strings.Repeat(" ", 64) + "hsmd test signature\x00"
	for _, got := range []*wire.TestResponse{a, b} {
		if !bytes.HasPrefix(got.Message, []byte(head)) || len(got.Message) != len(head)+32 || got.Scheme != wire.ECDSAP256SHA256 {
			t.Errorf("message %q, scheme %s", got.Message, got.Scheme)
		}
		sum := crypto.SHA256.New()
		sum.Write(got.Message)
		public := must[*managedkey.Public](t)(managedkey.NewPublic(&wire.Definition{PKCS11: &wire.PKCS11Definition{Mechanism: 0x1041}}, der(t, key)))
		if err := public.Verify(got.Scheme, sum.Sum(nil), got.Signature); err != nil {
			t.Error(err)
		}
	}
	if bytes.Equal(a.Message, b.Message) {
		t.Error("the same message twice")
	}
	_, err := h.as(own).Test(context.Background(), &wire.TestRequest{Key: "root", Scheme: wire.Ed25519})
	want(t, err, wire.Invalid, "does not sign with ed25519")
	_, err = h.as(own).Sign(context.Background(), &wire.SignRequest{Key: "root", SPKI: spkiID(t, key.Public()), Scheme: wire.ECDSAP256SHA256, Message: a.Message})
	want(t, err, wire.Invalid, "tag 0x20")
}

// TestSignaturesAtOnce: one user may have many signatures under way, over as
// many connections as he likes, but not without end.
func TestSignaturesAtOnce(t *testing.T) {
	h := start(t, everything)
	key := h.give("root", "P256")
	certificate, _ := messages(t, x509.ECDSAWithSHA256, key, now)
	sign := func() error {
		_, err := h.as(own).Sign(context.Background(), &wire.SignRequest{Key: "root", SPKI: spkiID(t, key.Public()), Scheme: wire.ECDSAP256SHA256, Message: certificate})
		return err
	}
	if err := sign(); err != nil {
		t.Fatal(err)
	}
	const most = 1024
	answers := make(chan error, most+1)
	h.token.mu.Lock() // nothing is signed now
	for range most + 1 {
		go func() { answers <- sign() }()
	}
	select {
	case err := <-answers:
		want(t, err, wire.Busy, "too many signatures at once")
	case <-time.After(30 * time.Second):
		t.Errorf("%d signatures at once were taken on", most+1)
	}
	h.token.mu.Unlock()
	for range most {
		if err := <-answers; err != nil {
			t.Error(err)
		}
	}
	if err := sign(); err != nil {
		t.Errorf("after that: %v", err)
	}
}
