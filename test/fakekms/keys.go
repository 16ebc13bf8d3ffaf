package fakekms

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/mldsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"time"
)

// Key is one key pair of the KMS.
type Key struct {
	ID, ARN string
	Spec    string // "RSA_2048", "ECC_NIST_P256", …
	State   string // "Enabled", "Disabled", "PendingDeletion"
	Usage   string
	Tags    map[string]string
	Created time.Time
	SPKI    []byte

	private crypto.Signer
	seen    time.Time // from when on it is found
}

// MakeKey makes a key beside whoever asks over HTTP: a key that is there
// already. alias is "alias/…", or empty for none.
func (s *Server) MakeKey(spec, alias string) *Key {
	k, failure := s.newKey(spec)
	if failure != nil {
		panic(failure.Message)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = append(s.keys, k)
	if alias != "" {
		s.aliases[alias] = &aliasEntry{target: k}
	}
	return k
}

// Replicate has a key of another region's here too, behind an alias, as a
// multi-Region key is: with its own ARN, and the same key pair.
func (s *Server) Replicate(k *Key, alias string) {
	replica := *k
	replica.ARN = "arn:aws:kms:" + s.region + ":" + Account + ":key/" + k.ID
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = append(s.keys, &replica)
	s.aliases[alias] = &aliasEntry{target: &replica}
}

// Keys are all keys there are.
func (s *Server) Keys() []Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Key, len(s.keys))
	for i, k := range s.keys {
		all[i] = *k
	}
	return all
}

func (s *Server) newKey(spec string) (*Key, *Failure) {
	private, err := generate(spec)
	if private == nil && err == nil {
		return nil, fail("ValidationException", "1 validation error detected: Value at 'keySpec' failed to satisfy constraint: Member must satisfy enum value set")
	}
	if err == nil {
		var spki []byte
		if spki, err = x509.MarshalPKIXPublicKey(private.Public()); err == nil {
			id := requestID()
			return &Key{ID: id, ARN: "arn:aws:kms:" + s.region + ":" + Account + ":key/" + id, Spec: spec, State: "Enabled", Usage: "SIGN_VERIFY",
				Tags: map[string]string{}, Created: time.Now(), SPKI: spki, private: private}, nil
		}
	}
	return nil, fail("KMSInternalException", err.Error())
}

// generate makes a key pair; nil for a spec that there is none of.
func generate(spec string) (crypto.Signer, error) {
	switch spec {
	case "RSA_2048":
		return rsa.GenerateKey(rand.Reader, 2048)
	case "RSA_3072":
		return rsa.GenerateKey(rand.Reader, 3072)
	case "RSA_4096":
		return rsa.GenerateKey(rand.Reader, 4096)
	case "ECC_NIST_P256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ECC_NIST_P384":
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ECC_NIST_P521":
		return ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "ECC_NIST_EDWARDS25519":
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	case "ML_DSA_44":
		return mldsa.GenerateKey(mldsa.MLDSA44())
	case "ML_DSA_65":
		return mldsa.GenerateKey(mldsa.MLDSA65())
	case "ML_DSA_87":
		return mldsa.GenerateKey(mldsa.MLDSA87())
	}
	return nil, nil
}
