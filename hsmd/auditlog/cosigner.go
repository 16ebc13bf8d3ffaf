package auditlog

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Cosignatures (c2sp.org/tlog-cosignature) are signatures of a note over its text
// and a time, with keys of a type of their own.
const cosignatureType = 0x04

// cosigner verifies one witness's cosignatures.
type cosigner struct {
	name   string
	hash   uint32
	public ed25519.PublicKey
}

// newCosigner reads NAME+HASH+KEY (c2sp.org/signed-note).
func newCosigner(text string) (*cosigner, error) {
	name, rest, _ := strings.Cut(text, "+")
	hash, encoded, ok := strings.Cut(rest, "+")
	key, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil || name == "" || strings.ContainsAny(name, " \n") {
		return nil, errors.New("is not of the form NAME+HASH+KEY")
	}
	if len(key) != 1+ed25519.PublicKeySize || key[0] != cosignatureType {
		return nil, errors.New("is not one of cosignatures with Ed25519 (type 4)")
	}
	sum := sha256.Sum256(append([]byte(name+"\n"), key...))
	c := &cosigner{name: name, hash: binary.BigEndian.Uint32(sum[:]), public: key[1:]}
	if given, err := strconv.ParseUint(hash, 16, 32); err != nil || len(hash) != 8 || uint32(given) != c.hash {
		return nil, errors.New("its hash is not that of its name and key")
	}
	return c, nil
}

// Name and the others are what a [note.Verifier] has.
func (c *cosigner) Name() string    { return c.name }
func (c *cosigner) KeyHash() uint32 { return c.hash }
func (c *cosigner) Verify(text, signature []byte) bool {
	if len(signature) != 8+ed25519.SignatureSize {
		return false
	}
	at := binary.BigEndian.Uint64(signature)
	return ed25519.Verify(c.public, fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", at, text), signature[8:])
}
