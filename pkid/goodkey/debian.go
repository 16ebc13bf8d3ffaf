package goodkey

import (
	"bytes"
	"crypto/sha1"
	_ "embed"
	"fmt"
	"math/big"
	"sort"
)

//go:generate go run ./debianweak -bits 2048 -table debian-rsa2048.bin

// debianRSA2048 has the keys of 2048 bits that `openssl genrsa` makes on a
// Debian system with CVE-2008-0166, by the first TableEntry octets of their
// fingerprints, in order. Package debianweak makes it anew, octet for octet.
//
//go:embed debian-rsa2048.bin
var debianRSA2048 []byte

// TableEntry is the size of a table's entry. With 295,000 entries, of a thousand
// million good keys one is taken for a weak one.
const TableEntry = 6

// Fingerprint identifies an RSA modulus as the package openssl-blacklist of
// Debian does: by the last 80 bits of the SHA-1 of what `openssl rsa -modulus`
// prints, "Modulus=", the modulus in upper-case hexadecimal, and a newline.
type Fingerprint [10]byte

// FingerprintOf gives a modulus's fingerprint.
func FingerprintOf(modulus *big.Int) Fingerprint {
	sum := sha1.Sum(fmt.Appendf(nil, "Modulus=%X\n", modulus))
	return Fingerprint(sum[sha1.Size-len(Fingerprint{}):])
}

// debianWeak looks a modulus up in the tables that there are. Lists of other
// sizes come as files of blocked_keys.
func debianWeak(bits int, f Fingerprint) bool {
	if bits != 2048 {
		return false
	}
	n := len(debianRSA2048) / TableEntry
	entry := func(i int) []byte { return debianRSA2048[i*TableEntry : (i+1)*TableEntry] }
	i := sort.Search(n, func(i int) bool { return bytes.Compare(entry(i), f[:TableEntry]) >= 0 })
	return i < n && bytes.Equal(entry(i), f[:TableEntry])
}
