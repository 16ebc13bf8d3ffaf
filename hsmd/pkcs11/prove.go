//go:build cgo

package pkcs11

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"errors"

	_ "crypto/sha256" // for crypto.Hash
	_ "crypto/sha512"

	"github.com/hsmpki/hsmpki/wire"
)

// prove makes one signature with a new key and checks it with the public key
// that was found, so that a pair that does not belong together is found before
// anybody relies on it. What is signed is random.
func (s *Service) prove(ctx context.Context, k *key, f *found) error {
	scheme, err := schemeFor(k.definition.PKCS11.Mechanism, f.public)
	if err != nil {
		return err
	}
	message := make([]byte, 64)
	rand.Read(message)
	response, err := s.sign(ctx, k, &wire.SignRequest{SPKI: f.id[:], Scheme: scheme, Message: message})
	if err != nil {
		return err
	}
	sound := false
	switch public := f.public.(type) {
	case *rsa.PublicKey:
		if scheme == wire.RSAPSSSHA256 {
			sound = rsa.VerifyPSS(public, crypto.SHA256, hashOf(crypto.SHA256, message), response.Signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
		} else {
			sound = rsa.VerifyPKCS1v15(public, crypto.SHA256, hashOf(crypto.SHA256, message), response.Signature) == nil
		}
	case *ecdsa.PublicKey:
		sound = ecdsa.VerifyASN1(public, hashOf(scheme.Hash(), message), response.Signature)
	case ed25519.PublicKey:
		sound = ed25519.Verify(public, message, response.Signature)
	}
	if !sound {
		return errors.New("its signature does not verify with its public key")
	}
	return nil
}

// schemeFor is a scheme that key and mechanism have in common.
func schemeFor(ckm uint64, public crypto.PublicKey) (wire.SignatureScheme, error) {
	switch public := public.(type) {
	case *rsa.PublicKey:
		if uint(ckm) == mechanisms[wire.RSAPSSSHA256].id {
			return wire.RSAPSSSHA256, nil
		}
		return wire.RSAPKCS1SHA256, nil
	case *ecdsa.PublicKey:
		switch public.Params().BitSize {
		case 256:
			return wire.ECDSAP256SHA256, nil
		case 384:
			return wire.ECDSAP384SHA384, nil
		case 521:
			return wire.ECDSAP521SHA512, nil
		}
	case ed25519.PublicKey:
		return wire.Ed25519, nil
	}
	return 0, errors.New("the key is of a kind that is not used")
}
