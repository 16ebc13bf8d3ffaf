package server_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/hsmpki/hsmpki/wire"
)

// ocspResponse is a ResponseData (RFC 6960, section 4.2.1) that says "good" of
// one certificate, with a nextUpdate or without.
func ocspResponse(at time.Time, next bool) []byte {
	hash := make([]byte, 20)
	context := func(n uint8) asn1.Tag { return asn1.Tag(n).ContextSpecific().Constructed() }
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(context(2), func(b *cryptobyte.Builder) { b.AddASN1OctetString(hash) })
		b.AddASN1GeneralizedTime(at)
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddBytes([]byte("\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00")) // SHA-1
					b.AddASN1OctetString(hash)
					b.AddASN1OctetString(hash)
					b.AddASN1Int64(77)
				})
				b.AddBytes([]byte{0x82, 0}) // unknown
				b.AddASN1GeneralizedTime(at)
				if next {
					b.AddASN1(context(0), func(b *cryptobyte.Builder) { b.AddASN1GeneralizedTime(at.Add(12 * time.Hour)) })
				}
			})
		})
	})
	return b.BytesOrPanic()
}

// responder asks for the responder's key of "root".
func (h *hsmd) responder(uid uint32) *wire.GenerateResponse {
	h.t.Helper()
	return must[*wire.GenerateResponse](h.t)(h.as(uid).Generate(ctx, &wire.GenerateRequest{Key: "root", ID: "ocsp", Responder: true}))
}

func respond(key *wire.GenerateResponse, message []byte) *wire.SignRequest {
	id := sha256.Sum256(key.Key.PublicKey)
	return &wire.SignRequest{Key: "root", SPKI: id[:], Scheme: wire.ECDSAP256SHA256, Message: message}
}

func verifies(t *testing.T, spki, message, signature []byte) {
	t.Helper()
	public := must[any](t)(x509.ParsePKIXPublicKey(spki))
	digest := sha256.Sum256(message)
	if !ecdsa.VerifyASN1(public.(*ecdsa.PublicKey), digest[:], signature) {
		t.Error("the signature does not verify")
	}
}

func TestResponderSignsResponsesOnly(t *testing.T) {
	h := start(t, everything)
	root := h.give("root", "P256")
	key := h.responder(own)
	if !key.Created || len(key.Key.Schemes) != 1 || key.Key.Schemes[0] != wire.ECDSAP256SHA256 || key.Key.Definition.Name != "root" || key.Key.Definition.PKCS11.PIN != "" {
		t.Errorf("made %+v", key)
	}
	if again := h.responder(own); again.Created || !bytes.Equal(again.Key.PublicKey, key.Key.PublicKey) {
		t.Errorf("again %+v", again)
	}
	calls := h.token.count("sign")
	message := ocspResponse(now, true)
	for _, req := range []*wire.SignRequest{respond(key, message), respond(key, nil)} {
		if req.Message == nil {
			req.Parts = &slow{message}
		}
		verifies(t, key.Key.PublicKey, message, must[*wire.SignResponse](t)(h.as(own).Sign(ctx, req)).Signature)
	}
	certificate, list := messages(t, x509.ECDSAWithSHA256, root, now)
	csr := must[[]byte](t)(x509.CreateCertificateRequest(nil, &x509.CertificateRequest{}, root))
	request := must[*x509.CertificateRequest](t)(x509.ParseCertificateRequest(csr)).RawTBSCertificateRequest
	for _, c := range []struct {
		what string
		req  *wire.SignRequest
		code wire.Code
		text string
	}{
		{"a certificate", respond(key, certificate), wire.Denied, "the certificate to be signed is not for a responder's key"},
		{"a CRL", respond(key, list), wire.Denied, "the crl to be signed is not for a responder's key"},
		{"a request", respond(key, request), wire.Denied, "the csr to be signed is not for a responder's key"},
		{"no nextUpdate", respond(key, ocspResponse(now, false)), wire.Denied, "without nextUpdate"},
		{"ahead of time", respond(key, ocspResponse(now.Add(time.Hour), true)), wire.Denied, "ahead of hsmd's clock"},
		{"octets after the end", respond(key, append(bytes.Clone(message), 0)), wire.Invalid, "followed by other octets"},
		{"nothing", respond(key, nil), wire.Invalid, ""},
	} {
		_, err := h.as(own).Sign(ctx, c.req)
		if err == nil {
			t.Errorf("signed: %s", c.what)
		}
		want(t, err, c.code, c.text)
	}
	other := respond(key, message)
	other.Scheme = wire.ECDSAP384SHA384
	_, err := h.as(own).Sign(ctx, other)
	want(t, err, wire.Invalid, "does not sign with ecdsa_secp384r1_sha384")
	if n := h.token.count("sign") - calls; n != 0 {
		t.Errorf("the token was asked %d times", n)
	}
}

func TestResponderNeedsTheGrantToSign(t *testing.T) {
	h := start(t, clients) // pkid may generate, other sign, with root and learn
	h.give("root", "P256")
	_, err := h.as(pkid).Generate(ctx, &wire.GenerateRequest{Key: "root", ID: "ocsp", Responder: true})
	want(t, err, wire.Denied, `no "sign" on key "root"`)
	key := h.responder(other)
	must[*wire.SignResponse](t)(h.as(other).Sign(ctx, respond(key, ocspResponse(now, true))))
	_, err = h.as(pkid).Sign(ctx, respond(key, ocspResponse(now, true)))
	want(t, err, wire.Denied, `no "sign" on key "root"`)
	for _, req := range []wire.GenerateRequest{{ID: "ocsp"}, {Key: "root", ID: "ocsp", Type: wire.KeyP256}, {Key: "root"}} {
		req.Responder = true
		_, err := h.as(other).Generate(ctx, &req)
		want(t, err, wire.Invalid, "")
	}
	_, err = h.as(own).Generate(ctx, &wire.GenerateRequest{Key: "none", ID: "ocsp", Responder: true})
	want(t, err, wire.Denied, "")
}

func TestResponderIsOneKeyPairs(t *testing.T) {
	h := start(t, everything)
	h.give("root", "P256")
	message := ocspResponse(now, true)
	before := h.files()
	key := h.responder(own)
	if after := h.files(); after != before {
		t.Errorf("making a responder's key changed state_dir:\n%s\nwas\n%s", after, before)
	}
	must[*wire.ConfigureResponse](t)(h.configure(defined("learn", "learn")))
	h.give("learn", "P256")
	elsewhere := respond(key, message)
	elsewhere.Key = "learn"
	_, err := h.as(own).Sign(ctx, elsewhere)
	want(t, err, wire.KeyChanged, "")

	// It answers while the token is away, and ends with the key pair.
	h.token.fault = wire.Errorf(wire.Unavailable, "away")
	must[*wire.SignResponse](t)(h.as(own).Sign(ctx, respond(key, message)))
	h.token.fault = nil
	h.give("root", "P256")
	_, err = h.as(own).Describe(ctx, &wire.DescribeRequest{Key: "root", Find: true})
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.as(own).Sign(ctx, respond(key, message))
	want(t, err, wire.KeyChanged, "is not the key pair that the responder's key was made for")
	if next := h.responder(own); !next.Created {
		t.Error("the old key was answered for the new key pair")
	}

	// And with hsmd.
	h.restart()
	_, err = h.as(own).Sign(ctx, respond(key, message))
	want(t, err, wire.KeyChanged, "")
}

func TestResponderEndsWithDefinition(t *testing.T) {
	h := start(t, everything)
	h.give("learn", "P256")
	for _, end := range []func() error{
		func() error { _, err := h.configure(defined("learn", "learn")); return err },
		func() error { _, err := h.as(own).Forget(ctx, &wire.ForgetRequest{Key: "learn"}); return err },
	} {
		must[*wire.ConfigureResponse](t)(h.configure(defined("learn", "learn")))
		key := must[*wire.GenerateResponse](t)(h.as(own).Generate(ctx, &wire.GenerateRequest{Key: "learn", ID: "1", Responder: true}))
		req := respond(key, ocspResponse(now, true))
		req.Key = "learn"
		must[*wire.SignResponse](t)(h.as(own).Sign(ctx, req))
		if err := end(); err != nil {
			t.Fatal(err)
		}
		if _, err := h.as(own).Sign(ctx, req); err == nil {
			t.Error("signed after the definition was replaced or forgotten")
		}
	}
	h = start(t, strings.Replace(everything, "allow_generate_key = true", `usages = ["verify"]`, 1))
	h.give("root", "P256")
	_, err := h.as(own).Generate(ctx, &wire.GenerateRequest{Key: "root", ID: "1", Responder: true})
	want(t, err, wire.Denied, "not for signing")
}

// files is all that is in state_dir.
func (h *hsmd) files() string {
	h.t.Helper()
	var all strings.Builder
	err := fs.WalkDir(os.DirFS(h.dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(os.DirFS(h.dir), path)
		all.WriteString(path + " " + string(content) + "\n")
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return all.String()
}
