package constraint

import (
	"bytes"

	"github.com/hsmpki/hsmpki/hsmd/tbs"
)

// issuer is a CA in whose name the key signs.
type issuer struct{ name, keyID []byte }

// issuedBy is about issuer. A CA certificate without a subject key identifier
// asks for none.
func (s *Set) issuedBy(m *tbs.Summary) error {
	if len(s.issuers) == 0 {
		return nil
	}
	var keyID []byte
	if value, ok := extension(m, idAuthorityKeyID); ok {
		if keyID, ok = authorityKeyID(value); !ok {
			return s.refuse("issuer", "the authorityKeyIdentifier is malformed")
		}
	}
	named := false
	for _, i := range s.issuers {
		if !bytes.Equal(i.name, m.Issuer) {
			continue
		}
		if named = true; bytes.Equal(i.keyID, keyID) {
			return nil
		}
	}
	if named {
		return s.refuse("issuer", "the authorityKeyIdentifier is %x", keyID)
	}
	return s.refuse("issuer", "the issuer is %s", tbs.NameString(m.Issuer))
}
