package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/test/faultmodule"
	"github.com/hsmpki/hsmpki/test/softhsm"
	"github.com/hsmpki/hsmpki/wire"
)

// onTwo is a file whose key is on a token and on another.
func onTwo(t *testing.T, a, b *softhsm.Token) (path, socket string) {
	return file(t, a, func(s string) string {
		s = strings.Replace(s, "  allow_generate_key = true\n", fmt.Sprintf("  allow_generate_key = true\n  copy {\n    library = \"second\"\n    token_label = %q\n    pin = %q\n  }\n", b.Label, b.PIN), 1)
		return s + fmt.Sprintf("kms_library \"pkcs11\" {\n  name = \"second\"\n  library = %q\n  env = { SOFTHSM2_CONF = %q }\n}\n", b.Library, b.Conf)
	})
}

func generateOn(t *testing.T, token *softhsm.Token) {
	t.Helper()
	token.Tool(t, "--keypairgen", "--key-type", "EC:prime256v1", "--label", "root", "--id", "01", "--sensitive")
}

// copiesOf is how a key's copies are.
func copiesOf(t *testing.T, client *wire.Client, find bool) []wire.CopyInfo {
	t.Helper()
	answer, err := client.Describe(t.Context(), &wire.DescribeRequest{Key: "root", Find: find})
	if err != nil {
		t.Fatal(err)
	}
	return answer.Keys[0].Copies
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 30 s", what)
		}
	}
}

// TestCopies: under load one token is taken away and comes back, and then the
// other; no request fails.
func TestCopies(t *testing.T) {
	a := softhsm.New(t)
	generateOn(t, a)
	b := a.Clone(t)
	path, socket := onTwo(t, a, b)
	running(t, path, socket)
	client := connect(t, socket)
	for i, c := range copiesOf(t, client, true) {
		if c.Fault != nil || !c.Found {
			t.Fatalf("copy %d: %+v", i+1, c.Fault)
		}
	}

	var signed atomic.Int64
	stop := make(chan struct{})
	var load sync.WaitGroup
	for range 6 {
		load.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := client.Test(t.Context(), &wire.TestRequest{Key: "root"}); err != nil {
					t.Errorf("after %d signatures: %v", signed.Load(), err)
					return
				}
				signed.Add(1)
			}
		})
	}
	more := func() {
		t.Helper()
		from := signed.Load()
		eventually(t, "500 more signatures", func() bool { return t.Failed() || signed.Load() > from+500 })
	}
	more()
	for i, token := range []*softhsm.Token{b, a} {
		at := 1 - i
		if err := os.Rename(token.Tokens, token.Tokens+".away"); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the copy is away", func() bool { return copiesOf(t, client, false)[at].Fault != nil })
		more()
		if other := copiesOf(t, client, false)[1-at]; other.Fault != nil {
			t.Errorf("the other copy: %v", other.Fault.Err())
		}
		_, out, _ := hsmdRun("key", "read", "-address="+socket, "root")
		if !strings.Contains(out, "away since") || !strings.Contains(out, "in use") || !strings.Contains(out, "BEGIN PUBLIC KEY") {
			t.Errorf("hsmd key read:\n%s", out)
		}
		if err := os.Rename(token.Tokens+".away", token.Tokens); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the copy is there again", func() bool { return copiesOf(t, client, false)[at].Fault == nil })
		more()
	}
	close(stop)
	load.Wait()

	status, err := client.Status(t.Context(), &wire.StatusRequest{Numbers: true})
	if err == nil {
		took := map[string]bool{}
		for _, n := range status.Numbers {
			if n.Name == "token_duration_seconds" && n.Labels["key"] == "root" && n.Value > 0 {
				took[n.Labels["library"]] = true
			}
		}
		if len(took) != 2 {
			t.Errorf("the tokens' times are of the libraries %v", took)
		}
	}
	if err != nil || len(status.Copies) != 1 || len(status.Copies[0].Copies) != 2 {
		t.Errorf("status: %+v, %v", status, err)
	}
	_, out, _ := hsmdRun("key", "list", "-address="+socket)
	if !strings.Contains(out, "copy 2") || strings.Contains(out, "no definition names") {
		t.Errorf("hsmd key list:\n%s", out)
	}
}

// TestCopyOfAnotherPair: a token that has another key pair under the name is not
// used, and shown.
func TestCopyOfAnotherPair(t *testing.T) {
	a, b := softhsm.New(t), softhsm.New(t)
	generateOn(t, a)
	generateOn(t, b)
	path, socket := onTwo(t, a, b)
	running(t, path, socket)
	client := connect(t, socket)
	copies := copiesOf(t, client, true)
	if copies[0].Fault != nil || copies[1].Fault == nil || copies[1].Fault.Code != wire.KeyChanged {
		t.Fatalf("copies: %+v", copies)
	}
	for range 20 {
		if _, err := client.Test(t.Context(), &wire.TestRequest{Key: "root"}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCopyIsNotGenerated: a key is made on the first token alone, and only when
// it is on none. What is cloned later is taken into use.
func TestCopyIsNotGenerated(t *testing.T) {
	a, b := softhsm.New(t), softhsm.New(t)
	path, socket := onTwo(t, a, b)
	running(t, path, socket)
	client := connect(t, socket)
	made, err := client.Generate(t.Context(), &wire.GenerateRequest{Key: "root", ID: "x"})
	if err != nil || !made.Created || len(made.Key.Copies) != 2 {
		t.Fatalf("%+v, %v", made, err)
	}
	if copies := made.Key.Copies; !copies[0].Found || copies[1].Fault == nil || copies[1].Fault.Code != wire.UnknownKey {
		t.Errorf("copies: %+v", copies)
	}
	if shown := b.Tool(t, "--list-objects"); strings.Contains(shown, "root") {
		t.Errorf("a key was made on the second token:\n%s", shown)
	}
	if again, err := client.Generate(t.Context(), &wire.GenerateRequest{Key: "root", ID: "x"}); err != nil || again.Created {
		t.Errorf("again: %+v, %v", again, err)
	}
	if _, err := client.Test(t.Context(), &wire.TestRequest{Key: "root"}); err != nil {
		t.Error(err)
	}
}

// TestOneCopyIsEnoughToStart: the first token is away when hsmd starts.
func TestOneCopyIsEnoughToStart(t *testing.T) {
	a := softhsm.New(t)
	generateOn(t, a)
	b := a.Clone(t)
	path, socket := onTwo(t, a, b)
	if err := os.Rename(a.Tokens, a.Tokens+".away"); err != nil {
		t.Fatal(err)
	}
	running(t, path, socket)
	client := connect(t, socket)
	if _, err := client.Test(t.Context(), &wire.TestRequest{Key: "root"}); err != nil {
		t.Error(err)
	}
	if copies := copiesOf(t, client, false); copies[0].Fault == nil || !copies[1].Found {
		t.Errorf("copies: %+v", copies)
	}
}

// onFaulty is a file whose key is on a token and on another, whose library goes
// wrong as it is told.
func onFaulty(t *testing.T, a, b *softhsm.Token) (path, socket string, faults *faultmodule.Module) {
	t.Helper()
	faults = faultmodule.New(t, b.Library)
	path, socket = file(t, a, func(s string) string {
		s = strings.Replace(s, "  allow_generate_key = true\n", fmt.Sprintf("  copy {\n    library = \"faulty\"\n    token_label = %q\n    pin = %q\n  }\n", b.Label, b.PIN), 1)
		s += fmt.Sprintf("kms_library \"pkcs11\" {\n  name = \"faulty\"\n  library = %q\n  env = {\n    SOFTHSM2_CONF = %q\n", faults.Library, b.Conf)
		for name, value := range faults.Env {
			s += fmt.Sprintf("    %s = %q\n", name, value)
		}
		return s + "  }\n}\n"
	})
	return path, socket, faults
}

// TestCopyThatGoesWrong: one that hangs, or whose signatures are wrong, costs no
// request.
func TestCopyThatGoesWrong(t *testing.T) {
	a := softhsm.New(t)
	generateOn(t, a)
	b := a.Clone(t)
	path, socket, faults := onFaulty(t, a, b)
	running(t, path, socket)
	client := connect(t, socket)
	for _, fault := range []faultmodule.Fault{faultmodule.Hang("C_SignInit"), faultmodule.Flip("C_Sign"), faultmodule.Return("C_Sign", 0x80000384), faultmodule.Crash("C_Sign").Nth(1)} {
		eventually(t, "both copies are in use", func() bool {
			copies := copiesOf(t, client, true)
			return copies[0].Found && copies[1].Found
		})
		faults.Set(t, fault)
		var load sync.WaitGroup
		for range 6 {
			load.Go(func() {
				for range 20 {
					if _, err := client.Test(t.Context(), &wire.TestRequest{Key: "root"}); err != nil {
						t.Errorf("%+v: %v", fault, err)
						return
					}
				}
			})
		}
		load.Wait()
		faults.Set(t)
	}
}

// TestCallerWhoGivesUpLosesNoCopy: a caller who does not wait for an answer says
// nothing about the tokens.
func TestCallerWhoGivesUpLosesNoCopy(t *testing.T) {
	a := softhsm.New(t)
	generateOn(t, a)
	b := a.Clone(t)
	path, socket, faults := onFaulty(t, a, b)
	running(t, path, socket)
	client := connect(t, socket)
	copiesOf(t, client, true)
	for what, ask := range map[string]func(context.Context) error{
		"signing": func(ctx context.Context) error {
			_, err := client.Test(ctx, &wire.TestRequest{Key: "root"})
			return err
		},
		"looking": func(ctx context.Context) error {
			_, err := client.Describe(ctx, &wire.DescribeRequest{Key: "root", Find: true})
			return err
		},
	} {
		faults.Set(t, faultmodule.Sleep("C_Sign", 300*time.Millisecond), faultmodule.Sleep("C_FindObjectsInit", 300*time.Millisecond))
		for range 4 { // every other one goes to the slow copy
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			_ = ask(ctx)
			cancel()
		}
		faults.Set(t)
		for i, c := range copiesOf(t, client, false) {
			if c.Fault != nil {
				t.Errorf("%s: copy %d is left aside: %v", what, i+1, c.Fault.Err())
			}
		}
	}
}

// TestCopyIsProtected: no key that is defined over the wire is a copy's, by its
// words or by its public key, also when hsmd has not found the copy yet.
func TestCopyIsProtected(t *testing.T) {
	a := softhsm.New(t)
	generateOn(t, a)
	b := a.Clone(t)
	path, socket := onTwo(t, a, b)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.Replace(text, []byte(`libraries = ["softhsm"]`), []byte(`libraries = ["*"]`), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	running(t, path, socket)
	client := connect(t, socket)
	for what, edit := range map[string]func(*wire.PKCS11Definition){
		"label": func(p *wire.PKCS11Definition) { p.KeyLabel = "root" },
		"id":    func(p *wire.PKCS11Definition) { p.KeyID = "01" },
	} {
		p := &wire.PKCS11Definition{Library: "second", Slot: &b.Slot, PIN: b.PIN, Mechanism: 0x1041, Curve: "P256"}
		edit(p)
		_, err := client.Configure(t.Context(), &wire.ConfigureRequest{Definition: wire.Definition{Type: "pkcs11", Name: "sly-" + what, PKCS11: p}})
		if err == nil {
			_, err = client.Test(t.Context(), &wire.TestRequest{Key: "sly-" + what})
		}
		if !errors.Is(err, wire.Denied) {
			t.Errorf("by the same %s: %v", what, err)
		}
	}
}

// TestNoKeyBesideACopyThatIsAway: it may have the key that the first has lost.
func TestNoKeyBesideACopyThatIsAway(t *testing.T) {
	a, b := softhsm.New(t), softhsm.New(t)
	path, socket := onTwo(t, a, b)
	if err := os.Rename(b.Tokens, b.Tokens+".away"); err != nil {
		t.Fatal(err)
	}
	running(t, path, socket)
	client := connect(t, socket)
	if made, err := client.Generate(t.Context(), &wire.GenerateRequest{Key: "root", ID: "x"}); err == nil {
		t.Errorf("a key was made: %+v", made)
	}
	if shown := a.Tool(t, "--list-objects"); strings.Contains(shown, "root") {
		t.Errorf("a key was made:\n%s", shown)
	}
}

// TestCheckShowsCopies: and that two are not on one token.
func TestCheckShowsCopies(t *testing.T) {
	a, b := softhsm.New(t), softhsm.New(t)
	path, _ := onTwo(t, a, b)
	if code, out, errOut := hsmdRun("check", "-config="+path); code != 0 || !strings.Contains(out, `also on library second, token ca`) {
		t.Errorf("exit %d\n%s%s", code, out, errOut)
	}
	path, _ = file(t, a, func(s string) string {
		return strings.Replace(s, "  allow_generate_key = true\n", fmt.Sprintf("  allow_generate_key = true\n  copy {\n    slot = %d\n    pin = %q\n  }\n", a.Slot, a.PIN), 1)
	})
	if code, _, errOut := hsmdRun("check", "-config="+path); code != 1 || !strings.Contains(errOut, "may be on the same token as another") {
		t.Errorf("exit %d\n%s", code, errOut)
	}
}
