package managedkey

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// auditKeyFile holds the seed of the key that signs for the log of signatures:
// AES-256-GCM under HKDF(state key, auditKeyLabel), after its random nonce.
const (
	auditKeyFile  = "audit-key"
	auditKeyLabel = "hsmd audit key 1"
)

// AuditKey gives the 32 octets that the log's key is made of, and makes them where
// there are none.
func (s *Store) AuditKey() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	aead, err := newGCM(s.sealer.derive(auditKeyLabel))
	if err != nil {
		return nil, err
	}
	path := filepath.Join(s.dir, auditKeyFile)
	sealed, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		seed := randomOctets(32)
		return seed, replaceFile(s.dir, auditKeyFile, aead.Seal(nil, nil, seed, []byte(auditKeyLabel)))
	}
	if err != nil {
		return nil, err
	}
	seed, err := aead.Open(nil, nil, sealed, []byte(auditKeyLabel))
	if err != nil {
		return nil, fmt.Errorf("%s does not decrypt: it is damaged, or was written with another state_key", path)
	}
	return seed, nil
}
