//go:build cgo

package pkcs11

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/mldsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"slices"

	_ "crypto/sha512" // for crypto.Hash

	p11 "github.com/miekg/pkcs11"

	"github.com/hsmpki/hsmpki/wire"
)

// refusedMechanism is a mechanism that the token has by its list, and refused.
// The session may be in the middle of it.
type refusedMechanism struct {
	ckm uint
	err error
}

func (r *refusedMechanism) Error() string {
	return fmt.Sprintf("mechanism 0x%04x: %v", r.ckm, r.err)
}

func (r *refusedMechanism) Unwrap() error { return r.err }

// identify completes what was found with the ways that the private key signs in
// and with its public key: of those that may be it, the first for which a test
// signature verifies. What was known before is taken at its word, for hsmd
// checks every signature.
func (s *Service) identify(ctx context.Context, session p11.SessionHandle, k *key, f *found) error {
	ways, err := f.token.ways(session, k, f.handle)
	if err != nil {
		return err
	}
	if err := f.token.asksEachTime(session, k, f); err != nil {
		return err
	}
	var known []byte
	if before := k.found.Load(); before != nil {
		known = before.spki
	}
	fault := wire.Errorf(wire.Invalid, "managed key %q: token %s has no public key and no certificate beside the private key; public_key in the definition can give it", k.definition.Name, f.token)
	for public, err := range f.token.candidates(session, f.handle, k) {
		if err == nil {
			err = s.take(ctx, session, k, f, public, ways, known)
		}
		if err == nil {
			return nil
		}
		if !errors.Is(err, wire.Invalid) {
			return err
		}
		fault = wire.AsError(err)
	}
	return fault
}

// take tries a public key. An error that is Invalid is of the public key.
func (s *Service) take(ctx context.Context, session p11.SessionHandle, k *key, f *found, public crypto.PublicKey, ways map[wire.SignatureScheme]mechanism, known []byte) error {
	name := k.definition.Name
	if err := fits(k, public); err != nil {
		return err
	}
	spki, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return wire.Errorf(wire.Invalid, "managed key %q: %v", name, err)
	}
	if given := k.definition.PKCS11.PublicKey; given != nil && !bytes.Equal(given, spki) {
		return wire.Errorf(wire.Invalid, "managed key %q: the public key found is not the public_key of its definition", name)
	}
	ways = suiting(public, ways)
	if len(ways) == 0 {
		return f.token.nothingLeft(k)
	}
	f.public, f.spki, f.id, f.ways = public, spki, sha256.Sum256(spki), ways
	if bytes.Equal(spki, known) {
		return nil
	}
	return s.prove(ctx, session, k, f)
}

// prove makes one signature with the private key and checks it with the public
// key, so that a pair that does not belong together is found before anybody
// relies on it. What is signed is random.
func (s *Service) prove(ctx context.Context, session p11.SessionHandle, k *key, f *found) error {
	scheme := slices.Min(slices.Collect(maps.Keys(f.ways)))
	mech := f.ways[scheme]
	message := make([]byte, 64)
	rand.Read(message)
	data, err := mech.input(&wire.SignRequest{Scheme: scheme, Message: message})
	if err != nil {
		return err
	}
	signature, call, err := s.signIn(ctx, session, k, f, mech, data)
	if isRefusal(err) || isVague(err) && mech.mayHash {
		return &refusedMechanism{mech.id, fmt.Errorf("%s: %w", call, err)}
	}
	if ofToken(err) {
		return fmt.Errorf("%s: %w", call, err)
	}
	if err == nil {
		err = verify(f.public, scheme, message, signature)
	}
	if err != nil && wire.AsError(err).Code == wire.Internal {
		return wire.Errorf(wire.Invalid, "managed key %q: the public key found is not the private key's: %v", k.definition.Name, err)
	}
	return err
}

var errUnproven = errors.New("a test signature does not verify")

func verify(public crypto.PublicKey, scheme wire.SignatureScheme, message, signature []byte) error {
	hash := scheme.Hash()
	digest := message
	if hash != 0 {
		digest = hashOf(hash, message)
	}
	switch public := public.(type) {
	case *rsa.PublicKey:
		if mechanisms[scheme].id == p11.CKM_RSA_PKCS {
			return rsa.VerifyPKCS1v15(public, hash, digest, signature)
		}
		return rsa.VerifyPSS(public, hash, digest, signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	case *ecdsa.PublicKey:
		if ecdsa.VerifyASN1(public, digest, signature) {
			return nil
		}
	case ed25519.PublicKey:
		if ed25519.Verify(public, message, signature) {
			return nil
		}
	case *mldsa.PublicKey:
		return mldsa.Verify(public, message, signature, nil)
	}
	return errUnproven
}

// suiting leaves the ways that are for the public key: an ECDSA scheme fixes
// the curve and one of ML-DSA the parameter set; other keys take all of their
// mechanism's.
func suiting(public crypto.PublicKey, ways map[wire.SignatureScheme]mechanism) map[wire.SignatureScheme]mechanism {
	suits := func(wire.SignatureScheme) bool { return true }
	switch public := public.(type) {
	case *ecdsa.PublicKey:
		suits = func(scheme wire.SignatureScheme) bool { return curveBits[scheme] == public.Params().BitSize }
	case *mldsa.PublicKey:
		suits = func(scheme wire.SignatureScheme) bool { return scheme == mldsaSchemes[public.Parameters()] }
	}
	suiting := maps.Clone(ways)
	maps.DeleteFunc(suiting, func(scheme wire.SignatureScheme, _ mechanism) bool { return !suits(scheme) })
	return suiting
}

var curveBits = map[wire.SignatureScheme]int{wire.ECDSAP256SHA256: 256, wire.ECDSAP384SHA384: 384, wire.ECDSAP521SHA512: 521}
