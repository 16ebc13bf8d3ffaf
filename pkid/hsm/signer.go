package hsm

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io"

	"github.com/hsmpki/hsmpki/wire"
)

// Key is a managed key that pkid has come to know: its name at hsmd, and its
// public half, which is what it is known by.
type Key struct {
	Name   string
	SPKI   []byte // DER of the SubjectPublicKeyInfo
	Public crypto.PublicKey

	id [sha256.Size]byte
}

// NewKey parses what hsmd describes.
func NewKey(name string, spki []byte) (Key, error) {
	public, err := x509.ParsePKIXPublicKey(spki)
	if err != nil {
		return Key{}, fmt.Errorf("public key of managed key %q: %w", name, err)
	}
	return Key{Name: name, SPKI: spki, Public: public, id: sha256.Sum256(spki)}, nil
}

// Signer signs whole messages with one key, for one request. It implements
// [crypto.MessageSigner], through which crypto/x509 hands over the bytes
// themselves; hsmd signs nothing that it cannot read.
type Signer struct {
	ctx    context.Context
	client *Client
	key    Key
	use    string
}

// Signer makes a signer whose signatures are asked for under ctx. use (mount and
// request id) goes to hsmd's log.
func (c *Client) Signer(ctx context.Context, key Key, use string) *Signer {
	if _, known := c.used.Load(key.Name); !known {
		c.used.Store(key.Name, key.SPKI)
	}
	return &Signer{ctx: ctx, client: c, key: key, use: use}
}

// Public implements [crypto.Signer].
func (s *Signer) Public() crypto.PublicKey { return s.key.Public }

// Sign implements [crypto.Signer] by refusing: a digest says nothing of what is
// signed.
func (s *Signer) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("hsmd signs messages, not digests; this caller does not know crypto.MessageSigner")
}

// SignMessage implements [crypto.MessageSigner].
func (s *Signer) SignMessage(_ io.Reader, message []byte, opts crypto.SignerOpts) ([]byte, error) {
	scheme, err := schemeOf(s.key.Public, opts)
	if err != nil {
		return nil, err
	}
	response, err := s.client.Sign(s.ctx, &wire.SignRequest{
		Key: s.key.Name, SPKI: s.key.id[:], Scheme: scheme, Message: message, Context: s.use,
	})
	if err != nil {
		return nil, err
	}
	return response.Signature, nil
}

var rsaSchemes = map[crypto.Hash][2]wire.SignatureScheme{ // PKCS#1 v1.5, PSS
	crypto.SHA256: {wire.RSAPKCS1SHA256, wire.RSAPSSSHA256},
	crypto.SHA384: {wire.RSAPKCS1SHA384, wire.RSAPSSSHA384},
	crypto.SHA512: {wire.RSAPKCS1SHA512, wire.RSAPSSSHA512},
}

// schemeOf names what crypto/x509 asks for. A curve has one hash.
func schemeOf(public crypto.PublicKey, opts crypto.SignerOpts) (wire.SignatureScheme, error) {
	hash := opts.HashFunc()
	var scheme wire.SignatureScheme
	switch key := public.(type) {
	case *rsa.PublicKey:
		pss, isPSS := opts.(*rsa.PSSOptions)
		if isPSS && pss.SaltLength != rsa.PSSSaltLengthEqualsHash && pss.SaltLength != hash.Size() {
			return 0, fmt.Errorf("RSA-PSS with a salt of %d octets is not made; the salt is as long as the hash", pss.SaltLength)
		}
		scheme = rsaSchemes[hash][0]
		if isPSS {
			scheme = rsaSchemes[hash][1]
		}
	case *ecdsa.PublicKey:
		switch size := key.Params().BitSize; {
		case size == 256 && hash == crypto.SHA256:
			scheme = wire.ECDSAP256SHA256
		case size == 384 && hash == crypto.SHA384:
			scheme = wire.ECDSAP384SHA384
		case size == 521 && hash == crypto.SHA512:
			scheme = wire.ECDSAP521SHA512
		}
	case ed25519.PublicKey:
		if hash == 0 {
			scheme = wire.Ed25519
		}
	}
	if scheme == 0 {
		return 0, fmt.Errorf("a %T does not sign with %s here", public, hash)
	}
	return scheme, nil
}
