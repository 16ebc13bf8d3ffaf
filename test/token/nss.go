package token

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// NSS makes a database of NSS softokn, the token of Firefox: no daemon, a
// parameter string for C_Initialize, and a second key pair with the CKA_ID of a
// first silently takes its place. Without a PIN there is no login.
func NSS(t testing.TB, pin string) *Token {
	t.Helper()
	dir := t.TempDir()
	password := filepath.Join(dir, "password")
	if err := os.WriteFile(password, []byte(pin+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, exec.Command("certutil", "-N", "-d", "sql:"+dir, "-f", password))
	if err := os.Remove(password); err != nil {
		t.Fatal(err)
	}
	return &Token{Library: library(t, "libsoftokn3.so", "libnss3"), Label: "NSS Certificate DB", PIN: pin, Paths: []string{dir},
		InitArgs: "configdir='sql:" + dir + "' certPrefix='' keyPrefix='' secmod='secmod.db' flags="}
}
