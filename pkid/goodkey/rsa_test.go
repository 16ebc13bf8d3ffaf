package goodkey_test

import (
	"crypto/rand"
	"crypto/rsa"
	"math/big"
	"testing"

	"github.com/hsmpki/hsmpki/pkid/goodkey"
)

// prime draws a prime of this many bits, the two top ones set.
func prime(t testing.TB, bits int) *big.Int {
	t.Helper()
	p, err := rand.Prime(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// after gives the first prime from n on.
func after(n *big.Int) *big.Int {
	for n = new(big.Int).SetBit(n, 0, 1); !n.ProbablyPrime(1); n.Add(n, big.NewInt(2)) {
	}
	return n
}

func product(p, q *big.Int) *big.Int { return new(big.Int).Mul(p, q) }

// power is 2^n.
func power(n uint) *big.Int { return new(big.Int).Lsh(big.NewInt(1), n) }

func TestRSAShape(t *testing.T) {
	n := good()["RSA"].(*rsa.PublicKey).N
	for _, c := range []struct {
		name  string
		key   rsa.PublicKey
		words string
	}{
		{"1024 bits", rsa.PublicKey{N: product(prime(t, 512), prime(t, 512)), E: 65537}, "RSA keys < 2048 bits are unsafe and not supported: got 1024"},
		{"2047 bits", rsa.PublicKey{N: new(big.Int).Rsh(n, 1), E: 65537}, "RSA keys < 2048 bits are unsafe and not supported: got 2047"},
		{"2049 bits", rsa.PublicKey{N: new(big.Int).Lsh(n, 1), E: 65537}, "not a multiple of 8"},
		{"8200 bits", rsa.PublicKey{N: new(big.Int).Lsh(n, 8200-2048), E: 65537}, "RSA keys > 8192 bits are not supported: got 8200"},
		{"even", rsa.PublicKey{N: new(big.Int).Lsh(n, 8), E: 65537}, "its modulus is even"},
		{"negative", rsa.PublicKey{N: new(big.Int).Neg(n), E: 65537}, "no modulus"},
		{"E=-1", rsa.PublicKey{N: n, E: -1}, "exponent -1 is too small"},
		{"E=0", rsa.PublicKey{N: n, E: 0}, "exponent 0 is even"},
		{"E=1", rsa.PublicKey{N: n, E: 1}, "exponent 1 is too small"},
		{"E=3", rsa.PublicKey{N: n, E: 3}, "exponent 3 is too small"},
		{"E=65535", rsa.PublicKey{N: n, E: 65535}, "too small"},
		{"E=65538", rsa.PublicKey{N: n, E: 65538}, "is even"},
		{"E=65539", rsa.PublicKey{N: n, E: 65539}, ""},
		{"E=2^31-1", rsa.PublicKey{N: n, E: 1<<31 - 1}, ""},
		{"E=2^31+1", rsa.PublicKey{N: n, E: 1<<31 + 1}, "too large"},
	} {
		refused(t, c.name, goodkey.Usable(&c.key), c.words)
		refused(t, c.name, new(goodkey.Policy).Check(&c.key), c.words)
	}
}

// TestFactors makes keys whose factors can be found, and some that are near.
func TestFactors(t *testing.T) {
	p := prime(t, 1024)
	root := new(big.Int).Sqrt(p) // of 512 bits
	for _, c := range []struct {
		name  string
		n     *big.Int
		words string
	}{
		{"the next prime", product(p, after(new(big.Int).Add(p, big.NewInt(2)))), "Fermat"},
		{"a square", product(p, p), "Fermat"},
		// a-√n is about (p-q)²/8√n: 18 steps, and 450.
		{"12 square roots apart", product(p, after(new(big.Int).Add(p, new(big.Int).Mul(root, big.NewInt(12))))), "Fermat"},
		{"60 square roots apart", product(p, after(new(big.Int).Add(p, new(big.Int).Mul(root, big.NewInt(60))))), ""},
		{"3", exactly(t, big.NewInt(3)), "small prime factor"},
		{"4093", exactly(t, big.NewInt(4093)), "small prime factor"},
		{"65537", exactly(t, big.NewInt(65537)), ""},
		{"all small ones", exactly(t, product(big.NewInt(3*5*7*11*13), big.NewInt(17*19*23*29*31))), "small prime factor"},
	} {
		refused(t, c.name, new(goodkey.Policy).Check(&rsa.PublicKey{N: c.n, E: 65537}), c.words)
	}
}

// TestPrimeModulus: only a CA is worth the test.
func TestPrimeModulus(t *testing.T) {
	key := &rsa.PublicKey{N: prime(t, 2048), E: 65537}
	refused(t, "of a CA", new(goodkey.Policy).Check(key), "itself a prime number")
	refused(t, "of a leaf", new(goodkey.Policy).CheckLeaf(key), "")
}

// exactly makes a modulus of 2048 bits with this factor.
func exactly(t testing.TB, factor *big.Int) *big.Int {
	t.Helper()
	least := new(big.Int).Add(new(big.Int).Div(power(2047), factor), big.NewInt(1))
	return product(factor, after(least))
}

func TestROCA(t *testing.T) {
	for _, key := range readKeys(t, "roca.pem") {
		refused(t, "roca.pem", new(goodkey.Policy).Check(key), "ROCA")
	}
}

func BenchmarkCheck(b *testing.B) {
	keys := good()
	for _, bits := range []int{4096, 8192} {
		key := &rsa.PublicKey{N: product(prime(b, bits/2), prime(b, bits/2)), E: 65537}
		keys["RSA-"+map[int]string{4096: "4096", 8192: "8192"}[bits]] = key
	}
	for name, key := range keys {
		b.Run(name, func(b *testing.B) {
			policy := new(goodkey.Policy)
			b.ReportAllocs()
			for b.Loop() {
				if err := policy.CheckLeaf(key); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
