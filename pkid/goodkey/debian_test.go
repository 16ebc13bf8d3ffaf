package goodkey_test

import (
	"crypto/rsa"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/pkid/goodkey"
)

// TestDebian has keys of the time; package debianweak makes more of them, and
// holds the table against those.
func TestDebian(t *testing.T) {
	for _, key := range readKeys(t, "debian.pem") {
		refused(t, "debian.pem", new(goodkey.Policy).Check(key), "CVE-2008-0166")
		next := &rsa.PublicKey{N: new(big.Int).Add(key.N, big.NewInt(2)), E: 65537}
		if err := new(goodkey.Policy).Check(next); err != nil && strings.Contains(err.Error(), "CVE-2008-0166") {
			t.Errorf("a modulus that is not weak: %v", err)
		}
	}
}

// TestFingerprint holds a fingerprint against what `openssl rsa -modulus
// -noout | sha1sum` says.
func TestFingerprint(t *testing.T) {
	got := fmt.Sprintf("%x", goodkey.FingerprintOf(readKeys(t, "debian.pem")[0].N))
	if want := "6dca2c9843d98044c775"; got != want {
		t.Errorf("fingerprint %s, want %s", got, want)
	}
}
