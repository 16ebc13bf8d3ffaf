package goodkey

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"math/big"
	"sync"

	"github.com/titanous/rocacheck"
)

// The sizes of an RSA modulus in bits. CA/Browser Forum, Baseline Requirements,
// section 6.1.5, has the least, and that it is a multiple of 8; the most bounds
// what one request may cost, and is the largest that Vault makes.
const (
	minModulus = 2048
	maxModulus = 8192
)

// fermatRounds is how many steps of Fermat's method are tried; Baseline
// Requirements, section 6.1.1.3, want 100.
const fermatRounds = 110

var one = big.NewInt(1)

func usableRSA(key *rsa.PublicKey) error {
	if key == nil || key.N == nil || key.N.Sign() <= 0 {
		return errors.New("the RSA key has no modulus")
	}
	bits := key.N.BitLen()
	switch {
	case bits < minModulus:
		return fmt.Errorf("RSA keys < 2048 bits are unsafe and not supported: got %d", bits)
	case bits > maxModulus:
		return fmt.Errorf("RSA keys > %d bits are not supported: got %d", maxModulus, bits)
	case bits%8 != 0:
		return fmt.Errorf("the RSA key has %d bits, which is not a multiple of 8", bits)
	case key.N.Bit(0) == 0:
		return errors.New("the RSA key is weak: its modulus is even")
	case key.E&1 == 0:
		return fmt.Errorf("the RSA key's exponent %d is even", key.E)
	case key.E < 65537:
		return fmt.Errorf("the RSA key's exponent %d is too small: 65537 is the least", key.E)
	case key.E > 1<<31-1:
		return fmt.Errorf("the RSA key's exponent %d is too large: 2^31-1 is the most", key.E)
	}
	return nil
}

// checkRSA looks for moduli that others can factor.
func (p *Policy) checkRSA(key *rsa.PublicKey) error {
	switch modulus := FingerprintOf(key.N); {
	case debianWeak(key.N.BitLen(), modulus):
		return errors.New("the RSA key is weak: it was made by Debian's faulty OpenSSL (CVE-2008-0166)")
	case p.Blocked.hasModulus(modulus):
		return errors.New("the RSA key is weak: its modulus is in a file of blocked_keys")
	case rocacheck.IsWeak(key):
		return errors.New("the RSA key is weak: it was made by Infineon's faulty library (ROCA, CVE-2017-15361)")
	case hasSmallFactor(key.N):
		return errors.New("the RSA key is weak: its modulus has a small prime factor")
	case hasCloseFactors(key.N):
		return errors.New("the RSA key is weak: its prime factors are close together (found by Fermat's method)")
	}
	return nil
}

// checkPrime refuses a modulus of one prime. To tell that a modulus is none
// takes an exponentiation by a number as long as itself, whatever the method
// (ProbablyPrime is done with a composite after one round of base 2): with RSA
// of 2048 bits 25 times all other checks, of 4096 bits 100 times. No
// known library makes such keys, and who makes one on purpose might as well
// publish its private key. So it is for CAs only, where others pay for it.
func checkPrime(key *rsa.PublicKey) error {
	if key.N.ProbablyPrime(0) {
		return errors.New("the RSA key is weak: its modulus is itself a prime number")
	}
	return nil
}

// smallPrimes is the product of the odd primes below 4096.
var smallPrimes = sync.OnceValue(func() *big.Int {
	product := big.NewInt(1)
	for n := int64(3); n < 4096; n += 2 {
		if big.NewInt(n).ProbablyPrime(0) {
			product.Mul(product, big.NewInt(n))
		}
	}
	return product
})

// hasSmallFactor takes one greatest common divisor for all small primes.
func hasSmallFactor(n *big.Int) bool {
	rest := new(big.Int).Mod(smallPrimes(), n)
	return rest.GCD(nil, nil, rest, n).Cmp(one) != 0
}

// hasCloseFactors is Fermat's method: n = a²-b² = (a+b)(a-b), for a from the
// square root of n upwards. A square n is found in the first step.
func hasCloseFactors(n *big.Int) bool {
	a := new(big.Int).Sqrt(n)
	square := new(big.Int).Mul(a, a)
	if square.Cmp(n) < 0 {
		a.Add(a, one)
		square.Mul(a, a)
	}
	b2, step := square.Sub(square, n), new(big.Int)
	for range fermatRounds {
		if isSquare(b2) {
			return true
		}
		b2.Add(b2, step.Lsh(a, 1)).Add(b2, one) // (a+1)²-n
		a.Add(a, one)
	}
	return false
}

// squareModuli are numbers modulo which few are squares, and squares those.
var squareModuli = [...]uint64{64, 63, 65, 11}

var squares, squareModulus = func() (squares [len(squareModuli)][64 + 1]bool, product *big.Int) {
	product = big.NewInt(1)
	for i, m := range squareModuli {
		product.Mul(product, new(big.Int).SetUint64(m))
		for n := range m {
			squares[i][n*n%m] = true
		}
	}
	return squares, product
}()

// isSquare takes the root only of one number in a hundred, which may be a
// square.
func isSquare(n *big.Int) bool {
	rest := new(big.Int).Mod(n, squareModulus).Uint64()
	for i, m := range squareModuli {
		if !squares[i][rest%m] {
			return false
		}
	}
	root := new(big.Int).Sqrt(n)
	return root.Mul(root, root).Cmp(n) == 0
}
