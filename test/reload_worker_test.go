package test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/test/daemon"
	"github.com/hsmpki/hsmpki/test/faultmodule"
	"github.com/hsmpki/hsmpki/test/hostilemodule"
	"github.com/hsmpki/hsmpki/test/softhsm"
	"github.com/hsmpki/hsmpki/wire"
)

// TestCase7_TokenCreatedAfterStart: SoftHSM shows a new token to new processes
// only. A definition that names it gets one, beside the old one.
func TestCase7_TokenCreatedAfterStart(t *testing.T) {
	token := softhsm.New(t)
	library, key := daemon.Libraries(token.Store), hclKey(token, "ca")
	h := daemon.NewHSMD(t, library+key)
	h.Start()
	signing := startSigning(t, h, "ca", "ca")
	before := h.WorkerPIDs()

	late := token.Add(t, "late")
	log := reload(t, h, library+key+hclKey(late, "late"))
	says(t, log, `"msg":"a new worker of a library takes over","library":"softhsm","why_new":"a definition names a token that the worker does not show"`)
	signing.waitFor(t, 20)
	onLate := signerOf(t, wireClient(t, h.Socket), "late")
	if err := onLate.ask(func(r *wire.SignRequest) { r.Message = tbsCertificate(t, onLate) }); err != nil {
		t.Errorf("the key on the new token: %v", err)
	}
	eventually(t, "the old worker ends", func() bool {
		pids := h.WorkerPIDs()
		return len(pids) == 1 && pids[0] != before[0]
	})

	// A token that no process is shown costs nobody the worker.
	before = h.WorkerPIDs()
	never := *late
	never.Label = "never"
	log = reload(t, h, library+key+hclKey(late, "late")+hclKey(&never, "never"))
	says(t, log, `"msg":"a definition names a token that its library does not show"`, `"msg":"a managed key cannot be used yet","key":"never"`)
	if pids := h.WorkerPIDs(); !slices.Equal(pids, before) {
		t.Errorf("workers %v, before %v", pids, before)
	}
	signing.finish(t)
}

// TestCase13_PINChangedOnTheToken changes the PIN on the token under hsmd:
// signing goes on; the next login is refused once; a reload with the new PIN
// logs in anew, in a fresh worker.
func TestCase13_PINChangedOnTheToken(t *testing.T) {
	token := softhsm.New(t)
	library, blocks := daemon.Libraries(token.Store), daemon.Libraries(token.Store)+hclKey(token, "ca")
	h := daemon.NewHSMD(t, blocks)
	h.Start()
	s := signerOf(t, wireClient(t, h.Socket), "ca")
	sign := func() error { return s.ask(func(r *wire.SignRequest) { r.Message = tbsCertificate(t, s) }) }
	token.Tool(t, "--change-pin", "--new-pin", "another-pin-4711")
	if err := sign(); err != nil {
		t.Errorf("while the worker is logged in: %v", err)
	}
	if log := reload(t, h, blocks); !strings.Contains(log, `"changed_rules":0`) {
		t.Errorf("a reload with nothing new:\n%s", log)
	}
	if err := sign(); err != nil {
		t.Errorf("after a reload with nothing new: %v", err)
	}

	h.Restart()
	s = &signer{wireClient(t, h.Socket), s.name, s.public, s.spki}
	if err := sign(); !errors.Is(err, wire.LoginRefused) || !strings.Contains(err.Error(), "the token refused the PIN") {
		t.Errorf("the first login with the old PIN: %v", err)
	}
	if err := sign(); !errors.Is(err, wire.LoginRefused) || !strings.Contains(err.Error(), "has refused this PIN before") {
		t.Errorf("the second: %v", err)
	}
	log := reload(t, h, library+hclKeyIn("softhsm", token, "ca", "another-pin-4711"))
	says(t, log, `"changed":"what is not shown, such as a PIN"`)
	if err := sign(); err != nil {
		t.Errorf("with the new PIN: %v", err)
	}
	if strings.Contains(h.Log(), "another-pin") || strings.Contains(h.Log(), token.PIN) {
		t.Error("the log shows a PIN")
	}
}

// TestReloadPIN changes the PIN in the file: a fresh worker logs in with it, and
// what the token refuses changes nothing and is not tried again.
func TestReloadPIN(t *testing.T) {
	token := softhsm.New(t)
	library, blocks := daemon.Libraries(token.Store), daemon.Libraries(token.Store)+hclKey(token, "ca")
	h := daemon.NewHSMD(t, blocks)
	h.Start()
	signing := startSigning(t, h, "ca")
	before := h.WorkerPIDs()
	wrong := library + hclKeyIn("softhsm", token, "ca", "no-pin-of-this-1")
	notTaken(t, h, wrong, `managed key \"ca\": the token refused the PIN, which is not tried again`, "hsmd.hcl:")
	notTaken(t, h, wrong, "has refused this PIN before", "hsmd.hcl:")
	signing.waitFor(t, 5)
	if pids := h.WorkerPIDs(); !slices.Equal(pids, before) {
		t.Errorf("workers %v, before %v", pids, before)
	}

	token.Tool(t, "--change-pin", "--new-pin", "another-pin-4711")
	log := reload(t, h, library+hclKeyIn("softhsm", token, "ca", "another-pin-4711"))
	says(t, log, `"why_new":"a PIN or login changed"`)
	signing.waitFor(t, 5)
	signing.finish(t)
	eventually(t, "the old worker ends", func() bool {
		pids := h.WorkerPIDs()
		return len(pids) == 1 && pids[0] != before[0]
	})
}

// TestReloadLogin changes who logs in: a token that knows another user from now
// on is logged in to by a fresh worker.
func TestReloadLogin(t *testing.T) {
	token := softhsm.New(t)
	faults := faultmodule.New(t, token.Library)
	library, key := faulty(token.Store, faults, "softhsm"), hclKey(token, "ca")
	h := daemon.NewHSMD(t, library+key)
	h.Start()
	signing := startSigning(t, h, "ca")
	crypto := strings.Replace(key, "  key_label", "  login = \"crypto_user\"\n  key_label", 1)
	notTaken(t, h, library+crypto, `managed key \"ca\" is lost with the new worker of its library (a PIN or login changed)`, "CKR_USER_TYPE_INVALID", "hsmd.hcl:")
	const cryptoUser = 0x80000001 // CKU_CRYPTO_USER
	faults.Set(t, faultmodule.LoginAs(cryptoUser))
	says(t, reload(t, h, library+crypto), `"why_new":"a PIN or login changed"`)
	signing.waitFor(t, 5)
	signing.finish(t)
}

// TestReloadLibraryReplaced replaces the library's file, by another file and by
// other content: a new worker loads it and then the old one goes. What is no
// library does not take the old one's place.
func TestReloadLibraryReplaced(t *testing.T) {
	token := softhsm.New(t)
	content, err := os.ReadFile(token.Library)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "library.so")
	writeOrFail(t, file, string(content))
	blocks := librariesAt(token.Store, "softhsm", file) + hclKey(token, "ca")
	h := daemon.NewHSMD(t, blocks)
	h.Start()
	signing := startSigning(t, h, "ca", "ca")
	renamed := func(text string) {
		writeOrFail(t, file+".new", text)
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	replaced := func() {
		t.Helper()
		before := h.WorkerPIDs()
		says(t, reload(t, h, blocks), `"msg":"a new worker of a library takes over","library":"softhsm","why_new":"its file was replaced"`)
		signing.waitFor(t, 20)
		eventually(t, "the old worker ends", func() bool {
			pids := h.WorkerPIDs()
			return len(pids) == 1 && pids[0] != before[0]
		})
	}
	renamed(string(content))
	replaced()
	// A worker has the file in its memory as it was: bytes after its end are
	// other content that does not hurt it.
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("another build"); err != nil {
		t.Fatal(err)
	}
	f.Close()
	replaced()

	before := h.WorkerPIDs()
	renamed("no library")
	for range 2 {
		says(t, reload(t, h, blocks), `"msg":"the new worker of a library is of no use, the old one stays","library":"softhsm"`)
	}
	signing.waitFor(t, 20)
	if pids := h.WorkerPIDs(); !slices.Equal(pids, before) {
		t.Errorf("workers %v, before %v", pids, before)
	}
	renamed(string(content))
	replaced()
	signing.finish(t)
}

// TestReloadConfines sets paths for a library that had none: a worker that is
// confined takes the place of the one that is not.
func TestReloadConfines(t *testing.T) {
	token := softhsm.New(t)
	library, key := daemon.Libraries(token.Store), hclKey(token, "ca")
	h := daemon.NewHSMD(t, library+key)
	h.Start()
	signing := startSigning(t, h, "ca")
	confined := func() bool {
		pids := h.WorkerPIDs()
		if len(pids) != 1 {
			return false
		}
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pids[0])) // it may be gone by now
		return strings.Contains(string(status), "Seccomp:\t2\n")
	}
	if confined() {
		t.Error("a worker is confined without paths")
	}
	log := reload(t, h, strings.Replace(library, "  env ", fmt.Sprintf("  paths = [%q]\n  env ", token.Dir), 1)+key)
	says(t, log, `"library":"softhsm","why_new":"its stanza changed"`)
	eventually(t, "the worker is confined", confined)
	signing.waitFor(t, 5)
	signing.finish(t)
}

// TestReloadWithholdsSecret: a variable of the environment that the file takes a
// secret from since a reload is not in the environment of its workers any more.
func TestReloadWithholdsSecret(t *testing.T) {
	t.Setenv("RELOAD_PIN", softhsm.PIN)
	token := softhsm.New(t)
	m := hostilemodule.New(t, "environment RELOAD_PIN")
	library := fmt.Sprintf(`
kms_library "pkcs11" {
  name    = "hostile"
  library = %q
  env     = { HOSTILE_ORDERS = %q, HOSTILE_REPORT = %q }
}`, m.Library, m.Env["HOSTILE_ORDERS"], m.Env["HOSTILE_REPORT"]) + daemon.Libraries(token.Store)
	h := daemon.NewHSMD(t, library+hclKey(token, "ca"))
	h.Start()
	if _, err := wireClient(t, h.Socket).Status(t.Context(), &wire.StatusRequest{}); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(m.Results(t)); !strings.Contains(got, "{environment RELOAD_PIN initializing done}") {
		t.Errorf("before: %s", got)
	}
	m.Try(t, "environment RELOAD_PIN")
	log := reload(t, h, library+hclKeyIn("softhsm", token, "ca", "env:RELOAD_PIN"))
	says(t, log, `"library":"hostile","why_new":"a secret comes from another variable of the environment"`)
	if got := fmt.Sprint(m.Results(t)); !strings.Contains(got, "{environment RELOAD_PIN initializing No such file or directory}") {
		t.Errorf("after: %s", got)
	}
}
