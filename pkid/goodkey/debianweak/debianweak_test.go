package main

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/pkid/goodkey"
)

func named(t *testing.T, name string) variant {
	t.Helper()
	i := slices.IndexFunc(variants, func(v variant) bool { return v.name == name })
	if i < 0 {
		t.Fatalf("no variant %s", name)
	}
	return variants[i]
}

// TestRealKeys makes keys anew that others made with Debian's packages of the
// time: HARICA's collection (github.com/HARICA-official/debian-weak-keys), and
// the example in the tests of badkeys. The one of 4096 bits goes through the
// pool's last octet, see [pool].
func TestRealKeys(t *testing.T) {
	for _, key := range []struct {
		variant     string
		pid, size   int
		fingerprint string
	}{
		{"le64-rnd", 1000, 2048, "6dca2c9843d98044c775"},
		{"le64-noreadrnd", 1000, 2048, "49d96fae9bfc0e84bba3"},
		{"le32-nornd", 1000, 2048, "e59980478ca300d26ab3"},
		{"le32-noreadrnd", 23456, 2048, "619929664d2608d1a3a6"},
		{"le32-nornd", 7624, 2048, "b7ead9492dfd921fc4f9"},
		{"le64-rnd", 1005, 4096, "becf3103dd361fb5c2a4"},
	} {
		got := fmt.Sprintf("%x", goodkey.FingerprintOf(modulus(named(t, key.variant), key.pid, key.size)))
		if got != key.fingerprint {
			t.Errorf("%s %d: fingerprint %s, want %s", key.variant, key.pid, got, key.fingerprint)
		}
	}
}

// TestAllVariants has the checksum of the nine keys of process 32767 that the
// tests of github.com/CVE-2008-0166/key_generator have, a patched OpenSSL.
func TestAllVariants(t *testing.T) {
	var lines []string
	for _, v := range variants {
		text := fmt.Sprintf("Modulus=%X\n", modulus(v, 32767, 2048))
		lines = append(lines, fmt.Sprintf("%x\n", sha1.Sum([]byte(text))))
	}
	slices.Sort(lines)
	if got := fmt.Sprintf("%x", sha1.Sum([]byte(strings.Join(lines, "")))); got != "2a910e906624766546114d300ca6b671c7acc08c" {
		t.Errorf("checksum %s", got)
	}
}

// TestTable holds the table of goodkey against keys of all variants, drawn
// anew in each run.
func TestTable(t *testing.T) {
	policy := new(goodkey.Policy)
	for _, v := range variants {
		for _, pid := range []int{0, 1 + rand.IntN(processes-2), 1 + rand.IntN(processes-2), processes - 1} {
			err := policy.Check(&rsa.PublicKey{N: modulus(v, pid, 2048), E: 65537})
			if err == nil || !strings.Contains(err.Error(), "CVE-2008-0166") {
				t.Errorf("%s %d: %v", v.name, pid, err)
			}
		}
	}
	table, err := os.ReadFile("../debian-rsa2048.bin")
	if err != nil {
		t.Fatal(err)
	}
	entries := slices.Collect(slices.Chunk(table, goodkey.TableEntry))
	if len(table) != processes*len(variants)*goodkey.TableEntry || !slices.IsSortedFunc(entries, bytes.Compare) {
		t.Errorf("%d octets, sorted: %v", len(table), slices.IsSortedFunc(entries, bytes.Compare))
	}
}

// TestForms writes a few keys in both forms, and reads the list back.
func TestForms(t *testing.T) {
	found := []goodkey.Fingerprint{{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, {0xff}}
	if got, want := hex.EncodeToString(encode(found)), "010203040506"+"ff0000000000"; got != want {
		t.Errorf("table %s, want %s", got, want)
	}
	var text bytes.Buffer
	if err := list(&text, found); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "rsa-4096")
	if err := os.WriteFile(path, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	read, err := goodkey.OpenBlocklist([]string{path})
	if err != nil {
		t.Fatal(err)
	}
	if _, moduli := read.Len(); moduli != len(found) {
		t.Errorf("%d moduli of %q", moduli, text.String())
	}
}
