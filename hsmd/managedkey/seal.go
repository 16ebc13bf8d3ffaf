package managedkey

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
)

// The file keys is
//
//	"hsmd keys 1\n"   magic
//	8 octets          names the state key: HKDF(state key, "hsmd key check 1")
//	12 octets         nonce, random for each writing
//	…                 AES-256-GCM of the JSON in record.go; magic and check are
//	                  the additional data; key: HKDF(state key, "hsmd keys 1")
//
// with HKDF-SHA-256 (RFC 5869) without salt; the label is the info.
const (
	sealMagic = "hsmd keys 1\n"
	checkSize = 8
)

// sealer encrypts and decrypts with keys derived from the state key.
type sealer struct {
	secret []byte
	aead   cipher.AEAD
	head   []byte // magic and check
}

func newSealer(secret string) (*sealer, error) {
	if len(secret) < 16 {
		return nil, errors.New("state_key is shorter than 16 octets")
	}
	s := &sealer{secret: []byte(secret)}
	var err error
	if s.aead, err = newGCM(s.derive("hsmd keys 1")); err != nil {
		return nil, err
	}
	s.head = append([]byte(sealMagic), s.derive("hsmd key check 1")[:checkSize]...)
	return s, nil
}

func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// derive gives 32 octets that are known to whoever has the state key.
func (s *sealer) derive(label string) []byte {
	key, err := hkdf.Key(sha256.New, s.secret, nil, label, 32)
	if err != nil {
		panic(err) // only for lengths beyond 255 hashes
	}
	return key
}

func (s *sealer) seal(plain []byte) []byte {
	return s.aead.Seal(append([]byte(nil), s.head...), nil, plain, s.head)
}

func (s *sealer) open(sealed []byte) (contents, error) {
	var c contents
	if !strings.HasPrefix(string(sealed), sealMagic) || len(sealed) < len(s.head) {
		return c, fmt.Errorf("its file %s is not hsmd's, or is damaged", keysFile)
	}
	if string(sealed[:len(s.head)]) != string(s.head) {
		return c, fmt.Errorf("its file %s was written with another state_key", keysFile)
	}
	plain, err := s.aead.Open(nil, nil, sealed[len(s.head):], s.head)
	if err != nil {
		return c, fmt.Errorf("its file %s is damaged: it does not decrypt", keysFile)
	}
	if c, err = decodeContents(plain); err != nil {
		return c, fmt.Errorf("its file %s: %w", keysFile, err)
	}
	return c, nil
}
