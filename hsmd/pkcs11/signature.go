//go:build cgo

package pkcs11

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/mldsa"
	"crypto/rsa"
	"errors"
	"fmt"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"crypto"
)

// maxSignature bounds what a key may sign: ML-DSA-87 has 4,627 octets.
const maxSignature = 5 << 10

// x509Form turns what the token gives into what X.509 carries. PKCS#11 gives
// an ECDSA signature as r and s, each as long as the curve's order.
func x509Form(public crypto.PublicKey, raw []byte) ([]byte, error) {
	size := len(raw)
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		order := key.Params().N
		half := (order.BitLen() + 7) / 8
		if len(raw) != 2*half {
			return nil, wrongSize(raw, 2*half)
		}
		r, s := new(big.Int).SetBytes(raw[:half]), new(big.Int).SetBytes(raw[half:])
		if r.Sign() == 0 || s.Sign() == 0 || r.Cmp(order) >= 0 || s.Cmp(order) >= 0 {
			return nil, errors.New("the token's signature is out of range")
		}
		var b cryptobyte.Builder
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1BigInt(r)
			b.AddASN1BigInt(s)
		})
		return b.Bytes()
	case *rsa.PublicKey:
		size = key.Size()
	case ed25519.PublicKey:
		size = ed25519.SignatureSize
	case *mldsa.PublicKey:
		size = key.Parameters().SignatureSize()
	}
	if len(raw) != size {
		return nil, wrongSize(raw, size)
	}
	return append([]byte(nil), raw...), nil
}

func wrongSize(raw []byte, size int) error {
	return fmt.Errorf("the token's signature has %d octets, %d belong there", len(raw), size)
}
