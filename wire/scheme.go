package wire

import (
	"crypto"
	"fmt"
)

// SignatureScheme names a signature algorithm together with its hash and, for
// ECDSA, its curve. The numbers are the code points of TLS's SignatureScheme
// registry (RFC 8446, section 4.2.3); ML-DSA's are those of
// draft-ietf-tls-mldsa.
type SignatureScheme uint16

// The schemes that the protocol knows. RSA-PSS has a salt as long as the hash
// and MGF1 with the same hash (RFC 8017, section 9.1). An ECDSA scheme fixes
// the curve's hash. Signatures are as X.509 carries them: ECDSA as the DER of
// ECDSA-Sig-Value (RFC 5480), all others as plain octets.
const (
	RSAPKCS1SHA256  SignatureScheme = 0x0401
	RSAPKCS1SHA384  SignatureScheme = 0x0501
	RSAPKCS1SHA512  SignatureScheme = 0x0601
	RSAPSSSHA256    SignatureScheme = 0x0804
	RSAPSSSHA384    SignatureScheme = 0x0805
	RSAPSSSHA512    SignatureScheme = 0x0806
	ECDSAP256SHA256 SignatureScheme = 0x0403
	ECDSAP384SHA384 SignatureScheme = 0x0503
	ECDSAP521SHA512 SignatureScheme = 0x0603
	Ed25519         SignatureScheme = 0x0807
	MLDSA44         SignatureScheme = 0x0904
	MLDSA65         SignatureScheme = 0x0905
	MLDSA87         SignatureScheme = 0x0906
)

var schemes = map[SignatureScheme]struct {
	name string
	hash crypto.Hash
}{
	RSAPKCS1SHA256:  {"rsa_pkcs1_sha256", crypto.SHA256},
	RSAPKCS1SHA384:  {"rsa_pkcs1_sha384", crypto.SHA384},
	RSAPKCS1SHA512:  {"rsa_pkcs1_sha512", crypto.SHA512},
	RSAPSSSHA256:    {"rsa_pss_rsae_sha256", crypto.SHA256},
	RSAPSSSHA384:    {"rsa_pss_rsae_sha384", crypto.SHA384},
	RSAPSSSHA512:    {"rsa_pss_rsae_sha512", crypto.SHA512},
	ECDSAP256SHA256: {"ecdsa_secp256r1_sha256", crypto.SHA256},
	ECDSAP384SHA384: {"ecdsa_secp384r1_sha384", crypto.SHA384},
	ECDSAP521SHA512: {"ecdsa_secp521r1_sha512", crypto.SHA512},
	Ed25519:         {"ed25519", 0},
	MLDSA44:         {"mldsa44", 0},
	MLDSA65:         {"mldsa65", 0},
	MLDSA87:         {"mldsa87", 0},
}

// Known reports whether s is one of the schemes above.
func (s SignatureScheme) Known() bool { _, ok := schemes[s]; return ok }

// Hash is the hash that the scheme applies to the message, or 0 where the
// scheme signs the message itself (Ed25519, ML-DSA).
func (s SignatureScheme) Hash() crypto.Hash { return schemes[s].hash }

// String is the name in TLS's registry.
func (s SignatureScheme) String() string {
	if e, ok := schemes[s]; ok {
		return e.name
	}
	return fmt.Sprintf("unknown signature scheme 0x%04x", uint16(s))
}

// KeyType names a kind of key pair with its size, in the words of hsmd's
// configuration.
type KeyType string

// The key types that a key can be made as.
const (
	KeyRSA2048 KeyType = "RSA-2048"
	KeyRSA3072 KeyType = "RSA-3072"
	KeyRSA4096 KeyType = "RSA-4096"
	KeyP256    KeyType = "P256"
	KeyP384    KeyType = "P384"
	KeyP521    KeyType = "P521"
	KeyEd25519 KeyType = "Ed25519"
	KeyMLDSA44 KeyType = "ML-DSA-44"
	KeyMLDSA65 KeyType = "ML-DSA-65"
	KeyMLDSA87 KeyType = "ML-DSA-87"
)
