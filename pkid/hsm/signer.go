package hsm

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/mldsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"io"

	"github.com/hsmpki/hsmpki/wire"
)

// Key is a key pair at hsmd: the name it is asked for by, and the public key
// that tells whether it is still the same.
type Key struct {
	Name   string           // of the managed key
	SPKI   []byte           // DER of its SubjectPublicKeyInfo
	Public crypto.PublicKey // the same, parsed
}

// NewKey parses spki, the DER of a SubjectPublicKeyInfo (RFC 5280, section
// 4.1.2.7).
func NewKey(name string, spki []byte) (Key, error) {
	public, err := x509.ParsePKIXPublicKey(spki)
	if err != nil {
		return Key{}, fmt.Errorf("hsm: public key of %q: %w", name, err)
	}
	return Key{Name: name, SPKI: bytes.Clone(spki), Public: public}, nil
}

// Signer is one use of a key: it implements [crypto.MessageSigner] for the time
// of ctx. crypto/x509 hands it the whole to-be-signed bytes and returns its
// errors as they are, so that the [*wire.Error] stays in the chain.
type Signer struct {
	client  *Client
	ctx     context.Context
	key     Key
	context string
}

var _ crypto.MessageSigner = (*Signer)(nil)

// Signer makes a signer for the requests that ctx covers. use goes to hsmd's
// log: the mount and the request's id. It costs nothing and cannot fail;
// whether there is such a key shows when it signs.
func (c *Client) Signer(ctx context.Context, key Key, use string) *Signer {
	return &Signer{client: c, ctx: ctx, key: key, context: use}
}

// Public implements [crypto.Signer].
func (s *Signer) Public() crypto.PublicKey { return s.key.Public }

// Sign implements [crypto.Signer] by failing: hsmd signs what it can read, and
// a digest says nothing.
func (s *Signer) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, wire.Errorf(wire.Invalid, "hsmd signs messages, not digests: use SignMessage (crypto.SignMessage)")
}

// SignMessage implements [crypto.MessageSigner]. opts is the hash for RSA
// (PKCS#1 v1.5) and ECDSA, an [*rsa.PSSOptions] for RSA-PSS, and 0 for Ed25519
// and ML-DSA.
// rand is not used: what randomness a signature needs is the token's.
func (s *Signer) SignMessage(_ io.Reader, msg []byte, opts crypto.SignerOpts) ([]byte, error) {
	return s.sign(&wire.SignRequest{Message: msg}, opts)
}

// SignStream is SignMessage for a message that is read to its end: a CRL may be
// larger than one wants to hold. A long one goes in parts, and is not asked for
// again if the connection breaks.
func (s *Signer) SignStream(message io.Reader, opts crypto.SignerOpts) ([]byte, error) {
	start, err := io.ReadAll(io.LimitReader(message, wire.MaxInline+1))
	if err != nil {
		return nil, err
	}
	if len(start) <= wire.MaxInline {
		return s.sign(&wire.SignRequest{Message: start}, opts)
	}
	return s.sign(&wire.SignRequest{Parts: io.MultiReader(bytes.NewReader(start), message)}, opts)
}

type noWait struct{}

// WithoutWaiting is a context for signatures that cannot wait for approval: what
// needs it is refused, and hsmd keeps nothing.
func WithoutWaiting(ctx context.Context) context.Context {
	return context.WithValue(ctx, noWait{}, true)
}

type repeated struct{}

// Repeating is a context for the signature that has waited for the approval of an
// id: hsmd refuses a message that is not the same, with that id, and keeps nothing.
func Repeating(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, repeated{}, id)
}

func (s *Signer) sign(req *wire.SignRequest, opts crypto.SignerOpts) ([]byte, error) {
	scheme, err := SchemeOf(s.key.Public, opts)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(s.key.SPKI)
	req.Key, req.SPKI, req.Scheme, req.Context = s.key.Name, digest[:], scheme, s.context
	req.NoWait, _ = s.ctx.Value(noWait{}).(bool)
	req.Approval, _ = s.ctx.Value(repeated{}).(string)
	answer, err := s.client.Sign(s.ctx, req)
	if err != nil {
		return nil, err
	}
	return answer.Signature, nil
}

// SchemeOf names the signature that opts ask of a key, or says with
// [wire.Invalid] why there is none.
func SchemeOf(public crypto.PublicKey, opts crypto.SignerOpts) (wire.SignatureScheme, error) {
	if opts == nil {
		opts = crypto.Hash(0)
	}
	hash := opts.HashFunc()
	var byHash map[crypto.Hash]wire.SignatureScheme
	switch public := public.(type) {
	case *rsa.PublicKey:
		byHash = rsaSchemes
		if pss, ok := opts.(*rsa.PSSOptions); ok {
			if pss.SaltLength != rsa.PSSSaltLengthEqualsHash && pss.SaltLength != hash.Size() {
				return 0, wire.Errorf(wire.Invalid, "RSA-PSS is signed with a salt as long as the hash only")
			}
			byHash = pssSchemes
		}
	case *ecdsa.PublicKey:
		byHash = ecdsaSchemes[public.Curve.Params().Name]
	case ed25519.PublicKey:
		if o, ok := opts.(*ed25519.Options); ok && o.Context != "" {
			return 0, wire.Errorf(wire.Invalid, "Ed25519 is signed without a context only")
		}
		byHash = ed25519Schemes
	case *mldsa.PublicKey:
		if o, ok := opts.(*mldsa.Options); ok && o.Context != "" {
			return 0, wire.Errorf(wire.Invalid, "ML-DSA is signed without a context only")
		}
		byHash = mldsaSchemes[public.Parameters()]
	default:
		return 0, wire.Errorf(wire.Invalid, "a key of type %T cannot sign", public)
	}
	scheme, ok := byHash[hash]
	if !ok {
		return 0, wire.Errorf(wire.Invalid, "this key does not sign with %v", hash)
	}
	return scheme, nil
}

var (
	rsaSchemes = map[crypto.Hash]wire.SignatureScheme{
		crypto.SHA256: wire.RSAPKCS1SHA256, crypto.SHA384: wire.RSAPKCS1SHA384, crypto.SHA512: wire.RSAPKCS1SHA512,
	}
	pssSchemes = map[crypto.Hash]wire.SignatureScheme{
		crypto.SHA256: wire.RSAPSSSHA256, crypto.SHA384: wire.RSAPSSSHA384, crypto.SHA512: wire.RSAPSSSHA512,
	}
	ecdsaSchemes = map[string]map[crypto.Hash]wire.SignatureScheme{
		"P-256": {crypto.SHA256: wire.ECDSAP256SHA256},
		"P-384": {crypto.SHA384: wire.ECDSAP384SHA384},
		"P-521": {crypto.SHA512: wire.ECDSAP521SHA512},
	}
	ed25519Schemes = map[crypto.Hash]wire.SignatureScheme{0: wire.Ed25519}
	mldsaSchemes   = map[mldsa.Parameters]map[crypto.Hash]wire.SignatureScheme{
		mldsa.MLDSA44(): {0: wire.MLDSA44},
		mldsa.MLDSA65(): {0: wire.MLDSA65},
		mldsa.MLDSA87(): {0: wire.MLDSA87},
	}
)
