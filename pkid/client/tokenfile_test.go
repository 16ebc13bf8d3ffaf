package client_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/hsmpki/hsmpki/pkid/client"
)

func tokenAt(t *testing.T, home string) string {
	t.Helper()
	cfg, err := client.FromEnvironment("unix:///x", func(string) string { return "" }, home)
	if err != nil {
		t.Fatal(err)
	}
	return cfg.Token
}

func TestStoreToken(t *testing.T) {
	home := t.TempDir()
	file := filepath.Join(home, ".pkid-token")
	for _, token := range []string{"one", "another"} {
		if err := client.StoreToken(home, token); err != nil {
			t.Fatal(err)
		}
		info, err := os.Lstat(file)
		if err != nil || info.Mode() != 0o600 || tokenAt(t, home) != token {
			t.Errorf("%v, %v, token %q", info.Mode(), err, tokenAt(t, home))
		}
	}
	if left, _ := os.ReadDir(home); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}

// TestStoreTokenFollowsNoLink has a link to a file that is not to be written.
func TestStoreTokenFollowsNoLink(t *testing.T) {
	home, victim := t.TempDir(), filepath.Join(t.TempDir(), "victim")
	if err := os.WriteFile(victim, []byte("untouched"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(victim, filepath.Join(home, ".pkid-token")); err != nil {
		t.Fatal(err)
	}
	if err := client.StoreToken(home, "token"); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(filepath.Join(home, ".pkid-token"))
	if err != nil || !info.Mode().IsRegular() {
		t.Errorf("%v, %v", info, err)
	}
	if b, err := os.ReadFile(victim); err != nil || string(b) != "untouched" {
		t.Errorf("the file behind the link: %q, %v", b, err)
	}
}

func TestStoreTokenFails(t *testing.T) {
	for _, home := range []string{"", "/does/not/exist"} {
		if err := client.StoreToken(home, "s3cret"); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("home %q: %v", home, err)
		}
	}
	home := t.TempDir()
	if err := os.Mkdir(filepath.Join(home, ".pkid-token"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := client.StoreToken(home, "s3cret"); err == nil {
		t.Error("a directory was replaced")
	}
	if left, _ := os.ReadDir(home); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}

// TestSomebodyElsesToken has the HOME that sudo -E leaves: the file is there and
// may not be read. It counts as none.
func TestSomebodyElsesToken(t *testing.T) {
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, ".pkid-token"), []byte("token"), 0o000); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 { // who may read anything: be another on this thread
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := syscall.Setfsuid(65534); err != nil {
			t.Fatal(err)
		}
		defer syscall.Setfsuid(0)
	}
	if got := tokenAt(t, home); got != "" {
		t.Errorf("token %q", got)
	}
}
