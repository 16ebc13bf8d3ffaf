package test

import (
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/test/daemon"
	"github.com/hsmpki/hsmpki/test/hostilemodule"
	"github.com/hsmpki/hsmpki/test/softhsm"
	"github.com/hsmpki/hsmpki/wire"
)

// The tests of this file are what a vendor's library would try on hsmd if it
// were malicious.

// hostile runs hsmd with the module as its only library, until the library has
// done what it was told. attempts is given hsmd's files and number; edit may
// change the stanza.
func hostile(t *testing.T, m *hostilemodule.Module, stanza string, attempts func(*daemon.HSMD) []string) (*daemon.HSMD, []hostilemodule.Result) {
	t.Helper()
	h := daemon.NewHSMD(t, daemon.Library("hostile", m.Library, m.Env, stanza)+daemon.WireKeys)
	h.Start()
	if err := os.WriteFile(filepath.Join(h.State, "keys"), []byte("hsmd's own"), 0o600); err != nil {
		t.Fatal(err)
	}
	m.Try(t, attempts(h)...)
	status, err := wireClient(t, h.Socket).Status(t.Context(), &wire.StatusRequest{})
	if err != nil || status.Libraries[0].Fault != nil {
		t.Fatalf("status: %v, %+v", err, status.Libraries[0].Fault.Err())
	}
	return h, m.Results(t)
}

// onHSMD is everything that a library is not to succeed in.
func onHSMD(h *daemon.HSMD) []string {
	pid := fmt.Sprint(h.PID())
	log, keys, key := filepath.Join(h.State, "audit.log"), filepath.Join(h.State, "keys"), filepath.Join(h.State, "state-key")
	return []string{
		"read " + key, "link " + key, "hardlink " + key, "chmod " + key, "xattr " + key, "chown " + key,
		"read " + log, "write " + log, "truncate " + log, "remove " + log,
		"write " + keys, "truncate " + keys, "remove " + keys, "chmod " + h.State,
		"list " + h.State, "create " + filepath.Join(h.State, "new"),
		"read /proc/" + pid + "/environ", "read /proc/" + pid + "/mem",
		"read " + h.Config, "read /etc/shadow", "create /etc/hostile", "remove " + h.Socket,
		"connect " + h.Socket, "orphan " + h.Socket,
		"signal " + pid, "trace " + pid, "memory " + pid, "limit " + pid,
		"execute /bin/sh",
	}
}

// refusals are what the kernel answers (the third for a link from a folder that
// may not be read to one that may), and how hsmd hangs up.
var refusals = []string{"Permission denied", "Operation not permitted", "Invalid cross-device link", "Connection reset by peer"}

// wantRefused wants each attempt to have been made twice and to have failed.
func wantRefused(t *testing.T, results []hostilemodule.Result, attempts []string) {
	t.Helper()
	for _, a := range attempts {
		made := 0
		for _, r := range results {
			if r.Attempt != a {
				continue
			}
			made++
			if !slices.Contains(refusals, r.Said) {
				t.Errorf("%s, %s: %s", r.When, r.Attempt, r.Said)
			}
		}
		if made != 2 {
			t.Errorf("%s was tried %d times", a, made)
		}
	}
}

func wantDone(t *testing.T, results []hostilemodule.Result, attempts ...string) {
	t.Helper()
	for _, a := range attempts {
		if !slices.ContainsFunc(results, func(r hostilemodule.Result) bool { return r.Attempt == a && r.Said == "done" }) {
			t.Errorf("%s was not done; all that was: %v", a, results)
		}
	}
}

// wantUntouched looks at what the library was to leave alone.
func wantUntouched(t *testing.T, h *daemon.HSMD) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(h.State, "keys"))
	if err != nil || string(text) != "hsmd's own" {
		t.Errorf("the stored keys hold %q, %v", text, err)
	}
	verifyAudit(t, h)
	info, err := os.Stat(filepath.Join(h.State, "state-key"))
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("the state key: %v, %v", info.Mode(), err)
	}
	if err := wireClient(t, h.Socket).Err(); err != nil {
		t.Errorf("hsmd: %v", err)
	}
}

// TestHostileLibraryConfined: with paths, the library has what it was given and
// nothing else, from the first line of its code on.
func TestHostileLibraryConfined(t *testing.T) {
	m := hostilemodule.New(t)
	inside := []string{"read " + filepath.Join(m.Dir, "orders"), "create " + filepath.Join(m.Dir, "new"), "list " + m.Dir}
	confined := []string{"setuid", "unlimited", "datagram /dev/log", "connect @abstract"}
	h, results := hostile(t, m, fmt.Sprintf("paths = [%q]", m.Dir), func(h *daemon.HSMD) []string {
		return slices.Concat(onHSMD(h), confined, inside, []string{"io_uring"})
	})
	wantRefused(t, results, append(onHSMD(h), confined...))
	wantDone(t, results, inside...)
	for _, r := range results {
		if r.Attempt == "io_uring" && r.Said != "Permission denied" {
			t.Errorf("io_uring: %s", r.Said)
		}
	}
	wantUntouched(t, h)
}

// TestHostileLibraryAtLarge: without paths it can do what its user can, so that
// the test above is worth something; but hsmd does not talk to it.
func TestHostileLibraryAtLarge(t *testing.T) {
	m := hostilemodule.New(t)
	h, results := hostile(t, m, "", func(h *daemon.HSMD) []string {
		key := filepath.Join(h.State, "state-key")
		return []string{"read " + key, "link " + key, "write " + filepath.Join(h.State, "audit.log"), "list " + h.State,
			"signal " + fmt.Sprint(h.PID()), "connect " + h.Socket, "orphan " + h.Socket}
	})
	wantDone(t, results, "read "+filepath.Join(h.State, "state-key"), "link "+filepath.Join(h.State, "state-key"),
		"write "+filepath.Join(h.State, "audit.log"), "list "+h.State, "signal "+fmt.Sprint(h.PID()))
	wantRefused(t, results, []string{"connect " + h.Socket, "orphan " + h.Socket})
	if log := h.Log(); !strings.Contains(log, "a worker, or what it started, was cut off") {
		t.Errorf("hsmd's log does not say that it cut a worker off:\n%s", log)
	}
}

// TestHostileLibraryWithASocket: where the library needs a socket of the file
// system, hsmd's is there too, and hsmd hangs up.
func TestHostileLibraryWithASocket(t *testing.T) {
	m := hostilemodule.New(t)
	path := filepath.Join(t.TempDir(), "hsm.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte("x"))
			conn.Close()
		}
	}()
	h, results := hostile(t, m, fmt.Sprintf("paths = [%q, %q]", m.Dir, path), func(h *daemon.HSMD) []string {
		return append(onHSMD(h), "connect "+path)
	})
	wantDone(t, results, "connect "+path)
	wantRefused(t, results, onHSMD(h))
	wantUntouched(t, h)
}

// TestHostilePreload: what the stanza has the dynamic loader load is vendor's
// code as well, and comes no earlier.
func TestHostilePreload(t *testing.T) {
	token, m := softhsm.New(t), hostilemodule.New(t)
	h := daemon.NewHSMD(t, "")
	env := maps.Clone(m.Env)
	env["SOFTHSM2_CONF"], env["LD_PRELOAD"] = token.Conf, m.Library
	h.Write(t, daemon.Library("softhsm", token.Library, env, fmt.Sprintf("paths = [%q, %q]", token.Dir, m.Dir))+daemon.WireKeys)
	key := filepath.Join(h.State, "state-key")
	m.Try(t, "read "+key)
	h.Start()
	c := wireClient(t, h.Socket)
	defineOver(t, c, token, "ca")
	if _, err := c.Generate(t.Context(), &wire.GenerateRequest{Key: "ca", ID: "x"}); err != nil {
		t.Fatal(err)
	}
	results := m.Results(t)
	if len(results) != 1 || results[0].Said != "Permission denied" {
		t.Errorf("a preloaded library: %v", results)
	}
}

// TestWorkerWithoutSecrets: a secret that hsmd has from its environment is not
// in a worker's.
func TestWorkerWithoutSecrets(t *testing.T) {
	t.Setenv("BOUNDARY_STATE_KEY", "a state key of more than thirty-two octets")
	t.Setenv("BOUNDARY_OTHER", "x")
	m := hostilemodule.New(t, "environment BOUNDARY_STATE_KEY", "environment BOUNDARY_OTHER", "environment HSMD_WORKER")
	h := daemon.NewHSMD(t, `state_key = "env:BOUNDARY_STATE_KEY"`+daemon.Library("hostile", m.Library, m.Env))
	h.Start()
	if _, err := wireClient(t, h.Socket).Status(t.Context(), &wire.StatusRequest{}); err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(m.Results(t))
	if !strings.Contains(got, "{environment BOUNDARY_STATE_KEY initializing No such file or directory}") ||
		!strings.Contains(got, "{environment HSMD_WORKER initializing No such file or directory}") ||
		!strings.Contains(got, "{environment BOUNDARY_OTHER initializing done}") {
		t.Errorf("in the worker's environment: %s", got)
	}
}
