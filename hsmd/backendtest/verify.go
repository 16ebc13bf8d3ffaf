package backendtest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/mldsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"testing"
	"time"

	_ "crypto/sha512" // SHA-384 and SHA-512 for crypto.Hash

	"github.com/hsmpki/hsmpki/wire"
)

// publicKey is a key pair's public half as a backend told it.
type publicKey struct {
	key  crypto.PublicKey
	spki []byte
	id   [sha256.Size]byte

	hashed []wire.SignatureScheme // by the token
}

func parse(t *testing.T, spki []byte) *publicKey {
	t.Helper()
	key, err := x509.ParsePKIXPublicKey(spki)
	if err != nil {
		t.Fatalf("the public key cannot be read: %v", err)
	}
	return &publicKey{key: key, spki: spki, id: sha256.Sum256(spki)}
}

// verify checks a signature over a message.
func (p *publicKey) verify(scheme wire.SignatureScheme, message, signature []byte) error {
	digest := Hashed(scheme, message)
	switch key := p.key.(type) {
	case *rsa.PublicKey:
		switch scheme {
		case wire.RSAPKCS1SHA256, wire.RSAPKCS1SHA384, wire.RSAPKCS1SHA512:
			return rsa.VerifyPKCS1v15(key, scheme.Hash(), digest, signature)
		}
		return rsa.VerifyPSS(key, scheme.Hash(), digest, signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	case *ecdsa.PublicKey:
		if ecdsa.VerifyASN1(key, digest, signature) {
			return nil
		}
	case ed25519.PublicKey:
		if ed25519.Verify(key, message, signature) {
			return nil
		}
	case *mldsa.PublicKey:
		return mldsa.Verify(key, message, signature, nil)
	}
	return errors.New("the signature does not verify")
}

// Verify checks a signature over a message with a SubjectPublicKeyInfo.
func Verify(spki []byte, scheme wire.SignatureScheme, message, signature []byte) error {
	key, err := x509.ParsePKIXPublicKey(spki)
	if err != nil {
		return err
	}
	return (&publicKey{key: key}).verify(scheme, message, signature)
}

// Hashed is the message's digest, or the message for a scheme without a hash.
func Hashed(scheme wire.SignatureScheme, message []byte) []byte {
	if scheme.Hash() == 0 {
		return message
	}
	h := scheme.Hash().New()
	h.Write(message)
	return h.Sum(nil)
}

// request is a signature request of the form that the backend takes: a digest
// for a worker, a message for hsmd and
// where the token hashes.
func (b *Backend) request(name string, p *publicKey, scheme wire.SignatureScheme, message []byte) *wire.SignRequest {
	req := &wire.SignRequest{Key: name, SPKI: p.id[:], Scheme: scheme}
	if b.Worker != nil && scheme.Hash() != 0 && !slices.Contains(p.hashed, scheme) {
		req.Digest = Hashed(scheme, message)
	} else {
		req.Message = message
	}
	return req
}

// sign signs a fresh message and verifies the signature, which it gives.
func (b *Backend) sign(t *testing.T, name string, p *publicKey, scheme wire.SignatureScheme) ([]byte, error) {
	message, err := b.message(p, scheme)
	if err != nil {
		return nil, err
	}
	answer, err := b.Service.Sign(t.Context(), b.request(name, p, scheme, message))
	if err != nil {
		return nil, err
	}
	if err := p.verify(scheme, message, answer.Signature); err != nil {
		return nil, fmt.Errorf("%s with %s: %w", name, scheme, err)
	}
	return answer.Signature, nil
}

// message is something new to sign: random octets for a worker, which does not
// look, and a certificate's to-be-signed part for hsmd, which does.
func (b *Backend) message(p *publicKey, scheme wire.SignatureScheme) ([]byte, error) {
	if b.Worker != nil {
		message := make([]byte, 700)
		_, err := rand.Read(message)
		return message, err
	}
	serial := make([]byte, 16)
	if _, err := rand.Read(serial); err != nil {
		return nil, err
	}
	capture := &capture{public: p.key}
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial), Subject: pkix.Name{CommonName: "backendtest"},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		SignatureAlgorithm: algorithms[scheme],
	}
	_, err := x509.CreateCertificate(rand.Reader, template, template, p.key, capture)
	if !errors.Is(err, errCaptured) {
		return nil, fmt.Errorf("building a certificate to sign: %w", err)
	}
	return capture.message, nil
}

var algorithms = map[wire.SignatureScheme]x509.SignatureAlgorithm{
	wire.RSAPKCS1SHA256: x509.SHA256WithRSA, wire.RSAPKCS1SHA384: x509.SHA384WithRSA, wire.RSAPKCS1SHA512: x509.SHA512WithRSA,
	wire.RSAPSSSHA256: x509.SHA256WithRSAPSS, wire.RSAPSSSHA384: x509.SHA384WithRSAPSS, wire.RSAPSSSHA512: x509.SHA512WithRSAPSS,
	wire.ECDSAP256SHA256: x509.ECDSAWithSHA256, wire.ECDSAP384SHA384: x509.ECDSAWithSHA384, wire.ECDSAP521SHA512: x509.ECDSAWithSHA512,
	wire.Ed25519: x509.PureEd25519,
	wire.MLDSA44: x509.MLDSA44, wire.MLDSA65: x509.MLDSA65, wire.MLDSA87: x509.MLDSA87,
}

// capture keeps the bytes that x509 wants signed, and signs nothing.
type capture struct {
	public  crypto.PublicKey
	message []byte
}

var errCaptured = errors.New("captured")

func (c *capture) Public() crypto.PublicKey { return c.public }

func (c *capture) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return nil, errCaptured }

func (c *capture) SignMessage(_ io.Reader, message []byte, _ crypto.SignerOpts) ([]byte, error) {
	c.message = bytes.Clone(message)
	return nil, errCaptured
}
