package goodkey_test

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/pkid/goodkey"
)

func write(t testing.TB, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func sumOf(t testing.TB, key crypto.PublicKey) []byte {
	t.Helper()
	spki, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(spki)
	return sum[:]
}

func TestBlocklist(t *testing.T) {
	keys := good()
	dir := t.TempDir()
	first := write(t, filepath.Join(dir, "keys"), fmt.Sprintf("# stolen in May\n\n%x # the web server's\r\n  %X\t\n%s\n",
		sumOf(t, keys["P-256"]), sumOf(t, keys["P-384"]), base64.StdEncoding.EncodeToString(sumOf(t, keys["P-521"]))))
	second := write(t, filepath.Join(dir, "blacklist.RSA-3072"), fmt.Sprintf("# RSA-3072\n%x\n%s",
		goodkey.FingerprintOf(keys["RSA-3072"].(*rsa.PublicKey).N), base64.RawStdEncoding.EncodeToString(sumOf(t, keys["Ed25519"]))))
	list, err := goodkey.OpenBlocklist([]string{first, second, first})
	if err != nil {
		t.Fatal(err)
	}
	if keys, moduli := list.Len(); keys != 4 || moduli != 1 {
		t.Errorf("%d keys and %d moduli, want 4 and 1", keys, moduli)
	}
	policy := &goodkey.Policy{Blocked: list}
	want := map[string]string{"P-256": "blocked_keys", "P-384": "blocked_keys", "P-521": "blocked_keys", "Ed25519": "blocked_keys",
		"RSA-3072": "its modulus is in a file of blocked_keys", "RSA": "", "P-224": ""}
	for name, key := range keys {
		refused(t, name, policy.Check(key), want[name])
		refused(t, name, policy.CheckLeaf(key), want[name])
	}

	// What replaces it is all that counts.
	write(t, second, "")
	next, err := goodkey.OpenBlocklist([]string{first, second})
	if err != nil {
		t.Fatal(err)
	}
	list.Replace(next)
	refused(t, "after another took its place", policy.Check(keys["Ed25519"]), "")
	refused(t, "after another took its place", policy.Check(keys["P-256"]), "blocked_keys")
}

func TestBlocklistFaults(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	for text, words := range map[string]string{
		strings.Repeat("0", 19):                                     ":1: ",
		strings.Repeat("0", 21):                                     ":1: ",
		strings.Repeat("g", 20):                                     ":1: ",
		"\n\n#\n" + strings.Repeat("0", 63) + "x":                   ":4: ",
		strings.Repeat("=", 44):                                     ":1: ",
		strings.Repeat("A", 44):                                     ":1: ",
		strings.Repeat("A", 42) + "=":                               ":1: ",
		strings.Repeat("A", 42) + "B":                               ":1: ", // bits that are no octet's
		strings.Repeat("A", 41) + "-_":                              ":1: ",
		strings.Repeat("A", 21) + "\r" + strings.Repeat("A", 21):    ":1: ",
		"#\n" + strings.Repeat("0", 5000):                           ":2: the line is longer than 4096 octets",
		"# SHA256:" + strings.Repeat("A", 43) + "\nSHA256:x":        ":2: ",
		strings.Repeat("0", 20) + " " + strings.Repeat("0", 20):     ":1: ",
		strings.Repeat("0", 64) + "\n" + strings.Repeat("\x00", 64): ":2: ",
	} {
		_, err := goodkey.OpenBlocklist([]string{write(t, path, text)})
		if err == nil || !strings.HasPrefix(err.Error(), path+words) {
			t.Errorf("%.70q: %v", text, err)
		}
	}
	if _, err := goodkey.OpenBlocklist([]string{path + "none"}); !os.IsNotExist(err) {
		t.Errorf("a file that is not there: %v", err)
	}
	if _, err := goodkey.OpenBlocklist([]string{filepath.Dir(path)}); err == nil {
		t.Error("a folder was read")
	}
	if list, err := goodkey.OpenBlocklist(nil); err != nil {
		t.Errorf("no files: %v", err)
	} else if keys, moduli := list.Len(); keys+moduli != 0 {
		t.Errorf("no files: %d keys, %d moduli", keys, moduli)
	}
}

// FuzzBlocklist reads a file of anything: a fault names its line, and what is
// taken has an entry or less a line.
func FuzzBlocklist(f *testing.F) {
	f.Add("# keys\n\n" + strings.Repeat("0", 20) + "\n" + strings.Repeat("aB", 32) + " #\n" + strings.Repeat("A", 43) + "=\r\n")
	f.Add(strings.Repeat("A", 44))
	f.Add(strings.Repeat("A", 43) + "\n" + strings.Repeat("/", 43))
	path := filepath.Join(f.TempDir(), "keys")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := goodkey.OpenBlocklist([]string{write(t, path, text)})
		if err != nil {
			var line int
			if n, scan := fmt.Sscanf(strings.TrimPrefix(err.Error(), path), ":%d:", &line); n != 1 || line < 1 || line > strings.Count(text, "\n")+1 {
				t.Errorf("%v: no line (%v)", err, scan)
			}
			return
		}
		if keys, moduli := list.Len(); keys+moduli > strings.Count(text, "\n")+1 {
			t.Errorf("%d keys and %d moduli", keys, moduli)
		}
	})
}
