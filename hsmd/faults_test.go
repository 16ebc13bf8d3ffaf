package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/test/faultmodule"
	"github.com/hsmpki/hsmpki/test/softhsm"
	"github.com/hsmpki/hsmpki/wire"
)

// failing puts the module that goes wrong in front of a configuration's library.
func failing(t *testing.T, token *softhsm.Token) (edit func(string) string, faults *faultmodule.Module) {
	t.Helper()
	faults = faultmodule.New(t, token.Library)
	var env strings.Builder
	for name, value := range faults.Env {
		fmt.Fprintf(&env, " %s = %q,", name, value)
	}
	return func(s string) string {
		s = strings.Replace(s, fmt.Sprintf("library = %q", token.Library), fmt.Sprintf("library = %q", faults.Library), 1)
		return strings.Replace(s, "env     = {", "env     = {"+env.String(), 1)
	}, faults
}

// failingRoot runs hsmd with its key made, behind the module that goes wrong.
func failingRoot(t *testing.T) (token *softhsm.Token, faults *faultmodule.Module, socket string) {
	t.Helper()
	token = softhsm.New(t)
	edit, faults := failing(t, token)
	path, socket := file(t, token, edit)
	running(t, path, socket)
	if _, err := connect(t, socket).Generate(t.Context(), &wire.GenerateRequest{Key: "root", ID: "1"}); err != nil {
		t.Fatal(err)
	}
	return token, faults, socket
}

// another adds a stanza with a key on the token to a configuration.
func another(name, library string, token *softhsm.Token, label string) string {
	return fmt.Sprintf(`
kms_library "pkcs11" {
  name    = %q
  library = %q
  env     = { SOFTHSM2_CONF = %q }
}
managed_key "pkcs11" %q {
  library            = %q
  token_label        = %q
  pin                = %q
  key_label          = %q
  mechanism          = "0x1041"
  curve              = "P256"
  allow_generate_key = true
}
`, name, library, token.Conf, name, name, token.Label, token.PIN, label)
}

// TestCase1_LibraryThatIsNone: a stanza whose library is missing, no library, or
// another machine's fails by itself, and says why; the others serve.
func TestCase1_LibraryThatIsNone(t *testing.T) {
	token := softhsm.New(t)
	dir := t.TempDir()
	text, foreign := filepath.Join(dir, "text.so"), filepath.Join(dir, "foreign.so")
	elf, err := os.ReadFile(token.Library)
	if err != nil {
		t.Fatal(err)
	}
	// e_machine is at octet 18; 8 is MIPS.
	elf = bytes.Clone(elf)
	elf[18], elf[19] = 8, 0
	if err := errors.Join(os.WriteFile(text, []byte("no library at all\n"), 0o644), os.WriteFile(foreign, elf, 0o644)); err != nil {
		t.Fatal(err)
	}
	others, err := filepath.Glob("/usr/lib*/*/libm.so.6")
	if err != nil || len(others) == 0 {
		t.Fatalf("no library of another kind: %v", err)
	}
	path, socket := file(t, token, func(s string) string {
		return s + another("missing", dir+"/missing.so", token, "a") + another("text", text, token, "b") +
			another("foreign", foreign, token, "c") + another("other", others[0], token, "d")
	})
	running(t, path, socket)
	client := connect(t, socket)
	if _, err := client.Generate(t.Context(), &wire.GenerateRequest{Key: "root", ID: "1"}); err != nil {
		t.Fatal(err)
	}
	for name, words := range map[string]string{"missing": "missing.so: no such file", "text": "text.so is not a shared object", "foreign": "foreign.so is for EM_MIPS", "other": "is not a PKCS#11 library"} {
		_, err := client.Test(t.Context(), &wire.TestRequest{Key: name})
		if !errors.Is(err, wire.Invalid) || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: got %v, want %q", name, err, words)
		}
	}
	if _, err := client.Test(t.Context(), &wire.TestRequest{Key: "root"}); err != nil {
		t.Error(err)
	}
}

// TestCase2_OneLibraryTwice: a link to a library is the library, and both
// stanzas serve from one worker.
func TestCase2_OneLibraryTwice(t *testing.T) {
	token := softhsm.New(t)
	link := filepath.Join(t.TempDir(), "link.so")
	if err := os.Symlink(token.Library, link); err != nil {
		t.Fatal(err)
	}
	path, socket := file(t, token, func(s string) string { return s + another("link", link, token, "other") })
	running(t, path, socket)
	client := connect(t, socket)
	for _, key := range []string{"root", "link"} {
		if _, err := client.Generate(t.Context(), &wire.GenerateRequest{Key: key, ID: "1"}); err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		if _, err := client.Test(t.Context(), &wire.TestRequest{Key: key}); err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
	status, err := client.Status(t.Context(), &wire.StatusRequest{})
	if err != nil || len(status.Libraries) != 2 || status.Libraries[0].PID != status.Libraries[1].PID || status.Libraries[0].PID == 0 {
		t.Errorf("%+v, %v", status, err)
	}
}

// TestCase34_CallerGoesAway: clients that hang up over their requests leave
// sessions and goroutines as they were.
func TestCase34_CallerGoesAway(t *testing.T) {
	_, faults, socket := failingRoot(t)
	client := connect(t, socket)
	sessions := func() int {
		status, err := client.Status(t.Context(), &wire.StatusRequest{})
		if err != nil || len(status.Libraries) != 1 || len(status.Libraries[0].Tokens) != 1 {
			t.Fatalf("%+v, %v", status, err)
		}
		return status.Libraries[0].Tokens[0].Sessions
	}
	faults.Set(t, faultmodule.Sleep("C_Sign", 20*time.Millisecond))
	for range 5 {
		var gone sync.WaitGroup
		for range 20 {
			gone.Go(func() {
				c, err := dial(t.Context(), socket)
				if err != nil {
					t.Error(err)
					return
				}
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
				defer cancel()
				_, _ = c.Test(ctx, &wire.TestRequest{Key: "root"})
				c.Close()
			})
		}
		gone.Wait()
	}
	faults.Set(t)
	for range 100 {
		if _, err := client.Test(t.Context(), &wire.TestRequest{Key: "root"}); err != nil {
			t.Fatal(err)
		}
	}
	if n := sessions(); n > 32 {
		t.Errorf("%d sessions are open", n)
	}
	calls := faults.Calls(t, "C_CloseSession")
	if _, err := client.Test(t.Context(), &wire.TestRequest{Key: "root"}); err != nil || faults.Calls(t, "C_CloseSession") != calls {
		t.Errorf("a sound session was closed, %v", err)
	}
}

// TestCase62_SignatureThatDoesNotVerify: the token signs wrongly. Nothing of it
// is handed out, and the key is proved again before its next use.
func TestCase62_SignatureThatDoesNotVerify(t *testing.T) {
	_, faults, socket := failingRoot(t)
	client := connect(t, socket)
	faults.Set(t, faultmodule.Flip("C_Sign"))
	for range 3 {
		if answer, err := client.Test(t.Context(), &wire.TestRequest{Key: "root"}); !errors.Is(err, wire.Internal) || answer != nil {
			t.Errorf("got %+v, %v", answer, err)
		}
	}
	faults.Set(t)
	if _, err := client.Test(t.Context(), &wire.TestRequest{Key: "root"}); err != nil {
		t.Errorf("when the token is well again: %v", err)
	}
}

// TestPINOfADeadWorker: the PIN changed on the token while everybody was logged
// in. A worker that has to log in again shows the old one once, and no worker
// after it does.
func TestPINOfADeadWorker(t *testing.T) {
	token, faults, socket := failingRoot(t)
	client := connect(t, socket)
	token.Tool(t, "--change-pin", "--new-pin", "changed-pin-4411")
	if _, err := client.Test(t.Context(), &wire.TestRequest{Key: "root"}); err != nil {
		t.Errorf("who is logged in signs on: %v", err)
	}
	logins := faults.Calls(t, "C_Login")
	for range 4 {
		status, err := client.Status(t.Context(), &wire.StatusRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(status.Libraries[0].PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		var refused atomic.Int64
		var callers sync.WaitGroup
		for range 20 {
			callers.Go(func() {
				if _, err := client.Test(t.Context(), &wire.TestRequest{Key: "root"}); errors.Is(err, wire.LoginRefused) {
					refused.Add(1)
				} else {
					t.Errorf("got %v", err)
				}
			})
		}
		callers.Wait()
	}
	if n := faults.Calls(t, "C_Login") - logins; n != 1 {
		t.Errorf("the PIN was shown %d times after it was wrong", n)
	}
}

// TestCase40_EndUnderLoad: hsmd ends while many sign, again and again. What was
// asked in time is answered, and no worker crashes by being ended.
func TestCase40_EndUnderLoad(t *testing.T) {
	token := softhsm.New(t)
	path, socket := file(t, token, asIs)
	var log bytes.Buffer // written by the last of all processes, read after it
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	stop := runningWith(t, path, socket, logger)
	if _, err := connect(t, socket).Generate(t.Context(), &wire.GenerateRequest{Key: "root", ID: "1"}); err != nil {
		t.Fatal(err)
	}
	stop()
	for range 50 { // and as often again under the race detector
		stop = runningWith(t, path, socket, logger)
		client := connect(t, socket)
		var signed atomic.Int64
		var callers sync.WaitGroup
		for range 8 {
			callers.Go(func() {
				for {
					_, err := client.Test(t.Context(), &wire.TestRequest{Key: "root"})
					if err == nil {
						signed.Add(1)
						continue
					}
					if !errors.Is(err, wire.Unavailable) {
						t.Error(err)
					}
					return
				}
			})
		}
		for signed.Load() < 16 && !t.Failed() {
			time.Sleep(time.Millisecond)
		}
		stop()
		callers.Wait()
	}
	if strings.Contains(log.String(), "a worker") {
		t.Error(log.String())
	}
}

// TestCase43_NoPINAnywhere: neither what goes wrong nor a crash of the worker
// puts a PIN into the log or the state folder.
func TestCase43_NoPINAnywhere(t *testing.T) {
	token := softhsm.New(t)
	edit, faults := failing(t, token)
	path, socket := file(t, token, func(s string) string {
		return edit(s) + strings.ReplaceAll(another("wrong", token.Library, token, "root"), token.PIN, "wrong-pin-a0c7")
	})
	var log bytes.Buffer
	stop := runningWith(t, path, socket, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	client := connect(t, socket)
	if _, err := client.Generate(t.Context(), &wire.GenerateRequest{Key: "root", ID: "1"}); err != nil {
		t.Fatal(err)
	}
	said := ""
	ask := func(key string) {
		if _, err := client.Test(t.Context(), &wire.TestRequest{Key: key}); err != nil {
			said += err.Error() + "\n"
		}
	}
	ask("wrong")
	for _, f := range []faultmodule.Fault{faultmodule.Return(faultmodule.Any, 0x30), faultmodule.Crash("C_Sign"), faultmodule.Crash("C_Login")} {
		faults.Set(t, f)
		ask("root")
		ask("wrong")
		faults.Set(t)
		comesBack(t, client)
	}
	for _, signal := range []syscall.Signal{syscall.SIGABRT, syscall.SIGSEGV} { // Go writes down all its stacks
		status, err := client.Status(t.Context(), &wire.StatusRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(status.Libraries[0].PID, signal); err != nil {
			t.Fatal(err)
		}
		comesBack(t, client)
	}
	stop()
	if !strings.Contains(log.String(), "a worker died") {
		t.Errorf("no worker died:\n%s", log.String())
	}
	for _, pin := range []string{token.PIN, "wrong-pin-a0c7"} {
		if strings.Contains(log.String()+said, pin) {
			t.Errorf("%s was said:\n%s\n%s", pin, said, log.String())
		}
		err := filepath.WalkDir(filepath.Join(filepath.Dir(path), "state"), func(file string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := os.ReadFile(file)
			if bytes.Contains(text, []byte(pin)) {
				t.Errorf("%s is in %s", pin, file)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}
