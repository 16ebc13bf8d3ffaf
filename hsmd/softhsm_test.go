package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/config"
	"github.com/hsmpki/hsmpki/hsmd/managedkey"
	"github.com/hsmpki/hsmpki/test/softhsm"
	"github.com/hsmpki/hsmpki/wire"
)

// file writes a configuration for a token: everything that hsmd has, and one
// key of its own.
func file(t *testing.T, token *softhsm.Token, edit func(string) string) (path, socket string) {
	t.Helper()
	dir := t.TempDir()
	path, socket = filepath.Join(dir, "hsmd.hcl"), filepath.Join(dir, "hsmd.sock")
	pin := filepath.Join(dir, "pin")
	text := fmt.Sprintf(`
state_dir = %q
listener "unix" {
  address = %q
}
kms_library "pkcs11" {
  name    = "softhsm"
  library = %q
  env     = { SOFTHSM2_CONF = %q }
}
wire_keys { libraries = ["softhsm"] }
managed_key "pkcs11" "root" {
  library            = "softhsm"
  token_label        = %q
  pin                = "file:%s"
  key_label          = "root"
  mechanism          = "0x1041"
  curve              = "P256"
  allow_generate_key = true
}
`, filepath.Join(dir, "state"), socket, token.Library, token.Conf, token.Label, pin)
	for name, text := range map[string]string{path: edit(text), pin: token.PIN + "\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path, socket
}

func asIs(s string) string { return s }

// running runs hsmd until the test or stop ends it.
func running(t *testing.T, path, socket string) (stop func()) {
	t.Helper()
	return runningWith(t, path, socket, slog.New(slog.DiscardHandler))
}

func runningWith(t *testing.T, path, socket string, log *slog.Logger) (stop func()) {
	t.Helper()
	cfg, err := config.LoadHSMD(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, cfg, log, new(slog.LevelVar)) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("hsmd: %v", err)
		}
	})
	t.Cleanup(stop)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			conn.Close()
			return stop
		}
		select {
		case err := <-ended:
			ended <- nil // for stop
			t.Fatalf("hsmd did not start: %v", err)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("hsmd does not listen: %v", err)
		}
	}
}

func connect(t *testing.T, socket string) *wire.Client {
	t.Helper()
	client, err := dial(context.Background(), socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

func TestKeyCommands(t *testing.T) {
	token := softhsm.New(t)
	path, socket := file(t, token, asIs)
	running(t, path, socket)
	ask := func(want int, pieces []string, args ...string) string {
		t.Helper()
		code, out, errOut := hsmdRun(append([]string{"key", args[0], "-address=" + socket}, args[1:]...)...)
		for _, piece := range pieces {
			if code != want || !strings.Contains(out+errOut, piece) {
				t.Errorf("key %v: exit %d, %s%s; want %d, %q", args, code, out, errOut, want, piece)
			}
		}
		if strings.Contains(out+errOut, token.PIN) {
			t.Errorf("key %v shows the PIN", args)
		}
		return out
	}
	ask(0, []string{"root", "ECDSA P256", "not looked for"}, "list")
	ask(0, []string{"unknown key"}, "list", "-find")
	ask(2, []string{"hsmd: unknown key"}, "test", "root")
	ask(2, []string{"there is no managed key"}, "test", "none")
	client := connect(t, socket)
	if _, err := client.Generate(t.Context(), &wire.GenerateRequest{Key: "root", ID: "1"}); err != nil {
		t.Fatal(err)
	}
	ask(0, []string{"Success! Key root signed with ecdsa_secp256r1_sha256"}, "test", "root")
	ask(0, []string{"found", "config"}, "list")
	ask(0, []string{"BEGIN PUBLIC KEY", "ecdsa_secp256r1_sha256", "public_key_sha256"}, "read", "root")

	// A key whose definition was forgotten is an orphan, and still on the token.
	if _, err := client.Configure(t.Context(), &wire.ConfigureRequest{Definition: wire.Definition{Type: "pkcs11", Name: "lost", AllowGenerateKey: true,
		PKCS11: &wire.PKCS11Definition{Library: "softhsm", TokenLabel: token.Label, PIN: token.PIN, KeyLabel: "lost-key", Mechanism: 0x1041, Curve: "P256"}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Generate(t.Context(), &wire.GenerateRequest{Key: "lost", ID: "2"}); err != nil {
		t.Fatal(err)
	}
	if out := ask(0, []string{"lost"}, "list"); strings.Contains(out, "no definition names") {
		t.Errorf("orphans while all are defined:\n%s", out)
	}
	if _, err := client.Forget(t.Context(), &wire.ForgetRequest{Key: "lost"}); err != nil {
		t.Fatal(err)
	}
	ask(0, []string{"Private keys that no definition names:", "lost-key, on token"}, "list")
	var listed struct {
		Keys    []map[string]any
		Orphans []orphan
	}
	if err := json.Unmarshal([]byte(ask(0, []string{"orphans"}, "list", "-format=json")), &listed); err != nil {
		t.Fatal(err)
	}
	if len(listed.Keys) != 1 || listed.Keys[0]["name"] != "root" || len(listed.Orphans) != 1 || listed.Orphans[0].Key != "lost-key" {
		t.Errorf("as JSON: %+v", listed)
	}
	ask(0, []string{`"verified": true`}, "test", "-format=json", "root")
}

// TestSameKeyOnARealToken names by its CKA_ID, over the wire, the key that the
// file names by its label.
func TestSameKeyOnARealToken(t *testing.T) {
	token := softhsm.New(t)
	path, socket := file(t, token, func(s string) string {
		return strings.Replace(s, `key_label          = "root"`, "key_label = \"root\"\n  key_id = \"a1b2\"", 1)
	})
	running(t, path, socket)
	client := connect(t, socket)
	if _, err := client.Generate(t.Context(), &wire.GenerateRequest{Key: "root", ID: "1"}); err != nil {
		t.Fatal(err)
	}
	define := func(edit func(*wire.PKCS11Definition)) error {
		p := &wire.PKCS11Definition{Library: "softhsm", Slot: &token.Slot, PIN: token.PIN, Mechanism: 0x1041, Curve: "P256"}
		edit(p)
		_, err := client.Configure(t.Context(), &wire.ConfigureRequest{Definition: wire.Definition{Type: "pkcs11", Name: "sly", PKCS11: p}})
		return err
	}
	for what, edit := range map[string]func(*wire.PKCS11Definition){
		"label": func(p *wire.PKCS11Definition) { p.KeyLabel = "root" },
		"id":    func(p *wire.PKCS11Definition) { p.KeyID = "a1b2" },
	} {
		if err := define(edit); !errors.Is(err, wire.Denied) {
			t.Errorf("by the same %s: %v", what, err)
		}
	}
}

func TestStateDirOfAnother(t *testing.T) {
	token := softhsm.New(t)
	path, socket := file(t, token, asIs)
	stop := running(t, path, socket)
	cfg, err := config.LoadHSMD(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := serve(t.Context(), cfg, slog.New(slog.DiscardHandler), new(slog.LevelVar)); !errors.Is(err, managedkey.ErrInUse) {
		t.Errorf("a second hsmd: %v", err)
	}
	stop()
	running(t, path, socket)()
}

func TestCheck(t *testing.T) {
	token := softhsm.New(t)
	path, _ := file(t, token, asIs)
	code, out, errOut := hsmdRun("check", "-config="+path)
	for _, piece := range []string{"is good.", "root and hsmd's own user may ask everything", "root: ECDSA P256 in library \"softhsm\"",
		"is made when it is missing", "may define up to 100 more", "hsmd.sock, mode 0660", fmt.Sprintf("slot %d: label %q", token.Slot, token.Label)} {
		if code != 0 || !strings.Contains(out, piece) {
			t.Errorf("exit %d, %q is missing in:\n%s%s", code, piece, out, errOut)
		}
	}
	if !strings.Contains(errOut, "state_key is not set") {
		t.Errorf("no warning of the state key: %s", errOut)
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(path), "state")); !os.IsNotExist(err) {
		t.Errorf("check made a state folder: %v", err)
	}

	path, _ = file(t, token, func(s string) string {
		return strings.Replace(s, fmt.Sprintf("token_label        = %q", token.Label), `token_label = "elsewhere"`, 1) +
			fmt.Sprintf("client \"me\" {\n  user = %d\n  capabilities = [\"sign\", \"test\"]\n}\n", os.Getuid())
	})
	code, out, errOut = hsmdRun("check", "-config="+path)
	for _, piece := range []string{`client "me" names hsmd's own user`, `shows no token with label "elsewhere"`} {
		if code != 0 || !strings.Contains(errOut, piece) {
			t.Errorf("exit %d, no warning %q: %s", code, piece, errOut)
		}
	}
	if !strings.Contains(out, "me (user ") || !strings.Contains(out, "may: describe, status, sign, test, on keys *") {
		t.Errorf("the client is not described:\n%s", out)
	}

	const stranger = "client \"stranger\" {\n  user = \"nobody\"\n  capabilities = [\"sign\"]\n}\n"
	for mode, warned := range map[string]bool{"0660": true, "0666": false} {
		path, _ = file(t, token, func(s string) string {
			return strings.Replace(s, "listener \"unix\" {", "listener \"unix\" {\n  socket_mode = \""+mode+"\"", 1) + stranger
		})
		if code, _, errOut = hsmdRun("check", "-config="+path); code != 0 || strings.Contains(errOut, `client "stranger": user nobody may open no socket`) != warned {
			t.Errorf("exit %d, a socket of mode %s: %s", code, mode, errOut)
		}
	}

	path, _ = file(t, token, func(s string) string {
		s = strings.Replace(s, "env     =", "key_id_length = 2\n  env     =", 1)
		return strings.Replace(s, "allow_generate_key = true", "allow_generate_key = true\n  login = \"context_specific\"\n  generate_mechanism = \"0x80000142\"", 1)
	})
	code, out, errOut = hsmdRun("check", "-config="+path)
	for _, piece := range []string{"login again for each signature", "is made when it is missing by mechanism 0x80000142", "get an id (CKA_ID) of 2 octets"} {
		if code != 0 || !strings.Contains(out, piece) {
			t.Errorf("exit %d, %q is missing in:\n%s%s", code, piece, out, errOut)
		}
	}

	path, _ = file(t, token, func(s string) string {
		s = strings.Replace(s, token.Library, path, 1) // a text file
		s = strings.Replace(s, `pin                = "file:`, `pin = "file:/none`, 1)
		return s + "client \"ghost\" {\n  user = \"no-such-user\"\n  capabilities = []\n}\n"
	})
	code, out, errOut = hsmdRun("check", "-config="+path)
	for _, piece := range []string{"is no shared object (ELF)", "no such file", `there is no user "no-such-user"`, path + ":"} {
		if code != 1 || out != "" || !strings.Contains(errOut, piece) {
			t.Errorf("exit %d, no fault %q: %s%s", code, piece, out, errOut)
		}
	}
}
