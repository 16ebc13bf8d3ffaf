package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/hsmpki/hsmpki/test/softhsm"
	"github.com/hsmpki/hsmpki/wire"
)

// spy stands between the worker and SoftHSM and writes down every call.
const spy = "/usr/lib/x86_64-linux-gnu/pkcs11-spy.so"

// spied puts the spy into a configuration, and counts calls in what it wrote.
func spied(t *testing.T, token *softhsm.Token) (edit func(string) string, count func(call string) int) {
	t.Helper()
	output := filepath.Join(t.TempDir(), "spy.log")
	edit = func(s string) string {
		s = strings.Replace(s, fmt.Sprintf("library = %q", token.Library), fmt.Sprintf("library = %q", spy), 1)
		return strings.Replace(s, "env     = {", fmt.Sprintf("env     = { PKCS11SPY = %q, PKCS11SPY_OUTPUT = %q,", token.Library, output), 1)
	}
	count = func(call string) int {
		t.Helper()
		text, err := os.ReadFile(output)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(text), ": "+call+"\n")
	}
	return edit, count
}

// TestCase8_WrongPINIsTriedOnce asks for a key with a wrong PIN from many sides, of
// the worker's next life and of hsmd's: the token hears the PIN once.
func TestCase8_WrongPINIsTriedOnce(t *testing.T) {
	token := softhsm.New(t)
	edit, count := spied(t, token)
	path, socket := file(t, token, edit)
	pin := filepath.Join(filepath.Dir(path), "pin")
	if err := os.WriteFile(pin, []byte("wrong-pin"), 0o600); err != nil {
		t.Fatal(err)
	}
	stop := running(t, path, socket)
	client := connect(t, socket)
	ask := func(client *wire.Client) {
		t.Helper()
		_, err := client.Test(t.Context(), &wire.TestRequest{Key: "root"})
		if !errors.Is(err, wire.LoginRefused) || !strings.Contains(err.Error(), `"root"`) || !strings.Contains(err.Error(), "PIN") || strings.Contains(err.Error(), "wrong-pin") {
			t.Errorf("got %v", err)
		}
	}
	var together sync.WaitGroup
	for range 50 {
		together.Go(func() { ask(client) })
	}
	together.Wait()
	if n := count("C_Login"); n != 1 {
		t.Fatalf("50 requests at once: %d logins", n)
	}

	status, err := client.Status(t.Context(), &wire.StatusRequest{})
	if err != nil || len(status.Libraries) != 1 || status.Refused != nil {
		t.Fatalf("status %+v, %v", status, err)
	}
	if err := syscall.Kill(status.Libraries[0].PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	ask(client)
	for range 5 {
		stop()
		stop = running(t, path, socket)
		ask(connect(t, socket))
	}
	if n := count("C_Login"); n != 1 {
		t.Fatalf("after the worker's death and five restarts: %d logins", n)
	}

	stop()
	if err := os.WriteFile(pin, []byte(token.PIN), 0o600); err != nil {
		t.Fatal(err)
	}
	running(t, path, socket)
	if _, err := connect(t, socket).Generate(t.Context(), &wire.GenerateRequest{Key: "root", ID: "1"}); err != nil {
		t.Errorf("with the right PIN: %v", err)
	}
	if n := count("C_Login"); n != 2 {
		t.Errorf("with the right PIN: %d logins in all, want 2", n)
	}
}
