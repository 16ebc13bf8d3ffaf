package role

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/mldsa"
	"crypto/rsa"
	"slices"
)

// The values of key_type. A role of type "any" signs CSRs with keys of all
// kinds; it does not say which key to make for issue, so the request must.
const (
	KeyRSA     = "rsa"
	KeyEC      = "ec"
	KeyEd25519 = "ed25519"
	KeyMLDSA   = "ml-dsa"
	KeyAny     = "any"
)

var (
	rsaSizes = []int{2048, 3072, 4096, 8192}
	ecSizes  = []int{224, 256, 384, 521}
	// mldsaSets are the parameter sets of FIPS 204 by the number that stands for
	// them in key_bits, where others have a size: the greater, the stronger.
	mldsaSets = map[mldsa.Parameters]int{mldsa.MLDSA44(): 44, mldsa.MLDSA65(): 65, mldsa.MLDSA87(): 87}
)

// CheckKey returns the effective size in bits of a key of this type to be made,
// 0 bits meaning the type's default: rsa 2048, ec 256, ml-dsa 65, and 0 for
// ed25519, which has one size. The error is a *Refusal.
func CheckKey(keyType string, bits int) (int, error) {
	switch keyType {
	case KeyRSA:
		switch {
		case bits == 0:
			return rsaSizes[0], nil
		case bits < 2048:
			return 0, refuse("RSA keys < 2048 bits are unsafe and not supported: got %d", bits)
		case !slices.Contains(rsaSizes, bits):
			return 0, refuse("unsupported bit length for RSA key: %d", bits)
		}
		return bits, nil
	case KeyEC:
		if bits == 0 {
			return 256, nil
		}
		if !slices.Contains(ecSizes, bits) {
			return 0, refuse("unsupported bit length for EC key: %d", bits)
		}
		return bits, nil
	case KeyMLDSA:
		if bits == 0 {
			return 65, nil
		}
		if bits != 44 && bits != 65 && bits != 87 {
			return 0, refuse("unsupported parameter set for ML-DSA key: key_bits must be 44, 65 or 87, got %d", bits)
		}
		return bits, nil
	case KeyEd25519, KeyAny:
		return 0, nil
	}
	return 0, refuse("unknown key type %s", keyType)
}

// CheckSignatureBits returns the effective signature_bits for a role or CA of
// this key type: 256, 384 or 512 for rsa (0: 256) and ec (0 stays: the issuer's
// curve decides), 0 for the others. The error is a *Refusal.
func CheckSignatureBits(keyType string, bits int) (int, error) {
	if keyType == KeyEd25519 || keyType == KeyMLDSA || keyType == KeyAny {
		return 0, nil
	}
	switch bits {
	case 0:
		if keyType == KeyRSA {
			return 256, nil
		}
		return 0, nil
	case 256, 384, 512:
		return bits, nil
	}
	return 0, refuse("unsupported hash signature algorithm: %d", bits)
}

// LeafKey is the type and effective size of the key to make for issue/:role. A
// role of type "any" leaves both to the wish, where a size alone is one of ec or
// else of rsa. The error is a *Refusal.
func (r *Role) LeafKey(w *Wish) (keyType string, bits int, err error) {
	if r.KeyType != KeyAny {
		return r.KeyType, r.KeyBits, nil
	}
	keyType = w.KeyType
	switch {
	case keyType == KeyAny:
		return "", 0, refuse("unknown key type %s", keyType)
	case keyType == "" && w.KeyBits == 0:
		return "", 0, refuse(`role key type "any" not allowed for issuing certificates without providing key_type and/or key_bits request parameters`)
	case keyType == "" && slices.Contains(ecSizes, w.KeyBits):
		keyType = KeyEC
	case keyType == "":
		keyType = KeyRSA
	}
	bits, err = CheckKey(keyType, w.KeyBits)
	return keyType, bits, err
}

// keyTypeOf is the type of the key that will be certified: the CSR's, or else
// the one to be made; "" where that cannot be told, and none will be made.
func (r *Role) keyTypeOf(w *Wish, csr *CSR) string {
	if csr != nil {
		keyType, _ := kindOf(csr.PublicKey())
		return keyType
	}
	keyType, _, _ := r.LeafKey(w)
	return keyType
}

// permitsKey checks the key of a CSR: the role's type and at least its size.
func (r *Role) permitsKey(key crypto.PublicKey) error {
	keyType, bits := kindOf(key)
	if keyType == "" {
		return refuse("Refusing to sign CSR with an unsupported type of public key")
	}
	if r.KeyType != KeyAny && r.KeyType != keyType {
		return refuse("role requires keys of type %s", r.KeyType)
	}
	if keyType == KeyRSA && bits < 2048 {
		return refuse("RSA keys < 2048 bits are unsafe and not supported: got %d", bits)
	}
	if r.KeyType == KeyMLDSA && bits < r.KeyBits {
		return refuse("role requires a key of ML-DSA-%d at least, but CSR's key is of ML-DSA-%d", r.KeyBits, bits)
	}
	if r.KeyType != KeyAny && bits < r.KeyBits {
		return refuse("role requires a minimum of a %d-bit key, but CSR's key is %d bits", r.KeyBits, bits)
	}
	return nil
}

// kindOf names a public key's type and size; "" if it has none of our types.
func kindOf(key crypto.PublicKey) (keyType string, bits int) {
	switch key := key.(type) {
	case *rsa.PublicKey:
		return KeyRSA, key.N.BitLen()
	case *ecdsa.PublicKey:
		return KeyEC, key.Curve.Params().BitSize
	case ed25519.PublicKey:
		return KeyEd25519, 0
	case *mldsa.PublicKey:
		return KeyMLDSA, mldsaSets[key.Parameters()]
	}
	return "", 0
}
