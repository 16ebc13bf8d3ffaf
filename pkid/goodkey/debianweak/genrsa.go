package main

import (
	"math/big"
	"math/bits"
)

var one = big.NewInt(1)

// group are odd primes whose product fits a word, so that one division of a
// candidate serves them all.
type group struct {
	product big.Int
	primes  []uint64
}

// sieve are the first 2,048 primes but 2, by which OpenSSL sifts candidates.
var sieve, groups = func() (primes []uint64, groups []*group) {
	product := uint64(1)
	for n := uint64(3); len(primes) < 2047; n += 2 {
		if !prime(n, primes) {
			continue
		}
		if high, _ := bits.Mul64(product, n); high != 0 || len(groups) == 0 {
			product = 1
			groups = append(groups, new(group))
		}
		product *= n
		last := groups[len(groups)-1]
		last.product.SetUint64(product)
		last.primes = append(last.primes, n)
		primes = append(primes, n)
	}
	return primes, groups
}()

func prime(n uint64, below []uint64) bool {
	for _, p := range below {
		if p*p > n {
			return true
		}
		if n%p == 0 {
			return false
		}
	}
	return true
}

// modulus is that of the key that `openssl genrsa` makes (rsa_builtin_keygen,
// with the exponent 65537).
func modulus(v variant, pid, size int) *big.Int {
	r := newPool(v, pid)
	p := r.factor((size + 1) / 2)
	q := r.factor(size / 2)
	for p.Cmp(q) == 0 {
		q = r.factor(size / 2)
	}
	return p.Mul(p, q)
}

// factor draws primes until one fits the exponent.
func (p *pool) factor(size int) *big.Int {
	e := big.NewInt(65537)
	for {
		n := p.prime(size)
		if new(big.Int).Mod(new(big.Int).Sub(n, one), e).Sign() != 0 {
			return n
		}
	}
}

// prime is BN_generate_prime_ex: candidates until one passes as many rounds of
// Miller and Rabin's test as BN_prime_checks_for_size says.
func (p *pool) prime(size int) *big.Int {
	checks := 2
	switch {
	case size >= 1300:
	case size >= 850:
		checks = 3
	case size >= 650:
		checks = 4
	case size >= 550:
		checks = 5
	default:
		checks = 6
	}
	for {
		if n := p.candidate(size); p.passes(n, checks) {
			return n
		}
	}
}

// candidate is probable_prime: a number with its two top bits set, and the next
// at which neither it nor its predecessor has a small odd factor.
func (p *pool) candidate(size int) *big.Int {
	n := p.number(size, true)
	mods := make([]uint64, 0, len(sieve))
	var rest big.Int
	for _, g := range groups {
		r := rest.Mod(n, &g.product).Uint64()
		for _, q := range g.primes {
			mods = append(mods, r%q)
		}
	}
	var delta uint64
	for i := 0; i < len(sieve); i++ {
		if (mods[i]+delta)%sieve[i] <= 1 {
			delta += 2
			i = -1
		}
	}
	return n.Add(n, rest.SetUint64(delta))
}

// number is bnrand; exact ones have their two top bits set and are odd.
func (p *pool) number(size int, exact bool) *big.Int {
	p.add(p.word) // the time
	octets := make([]byte, (size+7)/8)
	p.bytes(octets)
	n := new(big.Int).SetBytes(octets)
	n.And(n, new(big.Int).Sub(new(big.Int).Lsh(one, uint(size)), one))
	if exact {
		n.SetBit(n, size-1, 1).SetBit(n, size-2, 1).SetBit(n, 0, 1)
	}
	return n
}

// passes is BN_is_prime_fasttest_ex. The witnesses are drawn from the pool, and
// so decide what comes after.
func (p *pool) passes(n *big.Int, checks int) bool {
	less := new(big.Int).Sub(n, one)
	k := less.TrailingZeroBits()
	odd := new(big.Int).Rsh(less, k)
	for range checks {
		w := p.number(n.BitLen(), false)
		for w.Cmp(less) >= 0 {
			w = p.number(n.BitLen(), false)
		}
		if composite(n, less, odd, w.Add(w, one), k) {
			return false
		}
	}
	return true
}

// composite tells whether w is a witness that n, which is odd*2^k+1, is no
// prime; less is n-1.
func composite(n, less, odd, w *big.Int, k uint) bool {
	x := new(big.Int).Exp(w, odd, n)
	if x.Cmp(one) == 0 || x.Cmp(less) == 0 {
		return false
	}
	for range k - 1 {
		if x.Mul(x, x).Mod(x, n); x.Cmp(less) == 0 {
			return false
		}
	}
	return true
}
