package goodkey

import (
	"crypto/ed25519"
	"errors"
	"math/big"
	"slices"
)

// The field of edwards25519, the constant of the curve -x²+y² = 1+dx²y², and
// the Y coordinates of its points of order 8 (RFC 8032, section 5.1).
var (
	fieldPrime  = new(big.Int).Sub(new(big.Int).Lsh(one, 255), big.NewInt(19))
	curveD      = hexInt("52036cee2b6ffe738cc740797779e89800700a4d4141d8ab75eb4dca135978a3")
	orderEightY = hexInt("05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826")
)

// smallOrderY are the Y coordinates of the eight points whose order divides 8;
// with such a key, anybody makes signatures that verify.
var smallOrderY = []*big.Int{
	new(big.Int), one, new(big.Int).Sub(fieldPrime, one),
	orderEightY, new(big.Int).Sub(fieldPrime, orderEightY),
}

func hexInt(digits string) *big.Int {
	n, ok := new(big.Int).SetString(digits, 16)
	if !ok {
		panic("not a number: " + digits)
	}
	return n
}

// usableEd25519 refuses what is no canonical encoding of a point (RFC 8032,
// section 5.1.3), and points of small order.
func usableEd25519(key ed25519.PublicKey) error {
	if len(key) != ed25519.PublicKeySize {
		return errors.New("the Ed25519 key is not 32 octets long")
	}
	octets := slices.Clone(key)
	slices.Reverse(octets)
	octets[0] &= 0x7f // the sign of X
	y := new(big.Int).SetBytes(octets)
	if y.Cmp(fieldPrime) >= 0 {
		return errors.New("the Ed25519 key is not in its canonical encoding")
	}
	if slices.ContainsFunc(smallOrderY, func(small *big.Int) bool { return small.Cmp(y) == 0 }) {
		return errors.New("the Ed25519 key is weak: it is a point of small order")
	}
	// x² = (y²-1)/(dy²+1) has a solution if numerator times denominator is a
	// square.
	y2 := y.Mul(y, y)
	above := new(big.Int).Sub(y2, one)
	below := y2.Mul(y2, curveD)
	below.Add(below, one)
	above.Mul(above, below).Mod(above, fieldPrime)
	if big.Jacobi(above, fieldPrime) != 1 {
		return errors.New("the Ed25519 key is not a point of its curve")
	}
	return nil
}
