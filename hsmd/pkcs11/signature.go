//go:build cgo

package pkcs11

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"crypto"
)

// maxSignature bounds what a key may sign: RSA 4096 has 512 octets.
const maxSignature = 1024

// x509Form turns what the token gives into what X.509 carries. PKCS#11 gives
// an ECDSA signature as r and s, each as long as the curve's order.
func x509Form(public crypto.PublicKey, raw []byte) ([]byte, error) {
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		order := key.Params().N
		size := (order.BitLen() + 7) / 8
		if len(raw) != 2*size {
			return nil, fmt.Errorf("the token's signature has %d octets, %d belong there", len(raw), 2*size)
		}
		r, s := new(big.Int).SetBytes(raw[:size]), new(big.Int).SetBytes(raw[size:])
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
		if len(raw) != key.Size() {
			return nil, fmt.Errorf("the token's signature has %d octets, %d belong there", len(raw), key.Size())
		}
	case ed25519.PublicKey:
		if len(raw) != ed25519.SignatureSize {
			return nil, fmt.Errorf("the token's signature has %d octets, %d belong there", len(raw), ed25519.SignatureSize)
		}
	}
	return append([]byte(nil), raw...), nil
}
