package backendtest_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"testing"

	"github.com/hsmpki/hsmpki/test/softhsm"
	"github.com/hsmpki/hsmpki/wire"
)

// spy is OpenSC's module that writes down each call and hands it on. What it
// writes has PINs in it, so it is for tests alone.
const spy = "/usr/lib/x86_64-linux-gnu/pkcs11-spy.so"

// spied starts a process that reaches the token through the spy. calls counts
// how often a function was called so far.
func spied(t *testing.T, token *softhsm.Token) (service *wire.Client, calls func(function string) int) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "calls")
	service = child(t, append(token.Env(), "PKCS11SPY="+token.Library, "PKCS11SPY_OUTPUT="+path)...)
	return service, func(function string) int {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return len(regexp.MustCompile(`(?m)^\d+: `+function+`$`).FindAll(bytes.ReplaceAll(text, []byte("\r"), nil), -1))
	}
}

func p256(token *softhsm.Token, name, pin string) wire.Definition {
	p := onToken(token)
	p.PIN, p.KeyLabel, p.Mechanism, p.Curve = pin, name, 0x1041, "P256"
	return wire.Definition{Type: "pkcs11", Name: name, AllowGenerateKey: true, PKCS11: &p}
}

// atOnce runs do n times at the same moment.
func atOnce(n int, do func(int)) {
	var callers sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		callers.Go(func() { <-start; do(i) })
	}
	close(start)
	callers.Wait()
}

// TestAWrongPINIsShownOnce: under load, by several keys, and to a process that
// comes after the one that was refused.
func TestAWrongPINIsShownOnce(t *testing.T) {
	token := softhsm.New(t)
	service, calls := spied(t, token)
	for i := range 5 {
		d := p256(token, fmt.Sprintf("key-%d", i), "wrong-pin-5b2d")
		if _, err := service.Configure(t.Context(), &wire.ConfigureRequest{Definition: d, Worker: worker(spy)}); err != nil {
			t.Fatal(err)
		}
	}
	atOnce(50, func(i int) {
		answer, err := service.Describe(t.Context(), &wire.DescribeRequest{Key: fmt.Sprintf("key-%d", i%5), Find: true})
		if err != nil || answer.Keys[0].Fault == nil || answer.Keys[0].Fault.Code != wire.LoginRefused {
			t.Errorf("got %+v, %v; want a refused login", answer, err)
		}
	})
	if n := calls("C_Login"); n != 1 {
		t.Errorf("the wrong PIN was shown to the token %d times", n)
	}
	status, err := service.Status(t.Context(), &wire.StatusRequest{})
	if err != nil || len(status.Refused) != 1 {
		t.Fatalf("the status has the refusals %+v, %v; want one", status, err)
	}

	next, callsOfNext := spied(t, token)
	told := worker(spy)
	told.Refusals = status.Refused
	if _, err := next.Configure(t.Context(), &wire.ConfigureRequest{Definition: p256(token, "key", "wrong-pin-5b2d"), Worker: told}); err != nil {
		t.Fatal(err)
	}
	if f := fault(t, next, "key"); f == nil || f.Code != wire.LoginRefused {
		t.Errorf("the next process: %+v", f)
	}
	if n := callsOfNext("C_Login"); n != 0 {
		t.Errorf("the next process showed the refused PIN %d times", n)
	}
	if _, err := next.Configure(t.Context(), &wire.ConfigureRequest{Definition: p256(token, "key", token.PIN), Worker: told}); err != nil {
		t.Fatal(err)
	}
	if f := fault(t, next, "key"); f == nil || f.Code != wire.UnknownKey {
		t.Errorf("the right PIN after that: %+v", f)
	}
}

func fault(t *testing.T, service wire.Service, name string) *wire.Fault {
	t.Helper()
	answer, err := service.Describe(t.Context(), &wire.DescribeRequest{Key: name, Find: true})
	if err != nil {
		t.Fatal(err)
	}
	return answer.Keys[0].Fault
}

// TestNoThirdPINFromTheWire: two may be refused in a day; hsmd's own is tried
// nevertheless.
func TestNoThirdPINFromTheWire(t *testing.T) {
	token := softhsm.New(t)
	service, calls := spied(t, token)
	told := worker(spy)
	told.FromWire = true
	for i, pin := range []string{"wrong-1111", "wrong-2222", token.PIN} {
		name := fmt.Sprintf("wire-%d", i)
		if _, err := service.Configure(t.Context(), &wire.ConfigureRequest{Definition: p256(token, name, pin), Worker: told}); err != nil {
			t.Fatal(err)
		}
		if f := fault(t, service, name); f == nil || f.Code != wire.LoginRefused {
			t.Errorf("PIN %d: %+v", i, f)
		}
	}
	if n := calls("C_Login"); n != 2 {
		t.Errorf("%d PINs were shown to the token, want 2", n)
	}
	if _, err := service.Configure(t.Context(), &wire.ConfigureRequest{Definition: p256(token, "own", token.PIN), Worker: worker(spy)}); err != nil {
		t.Fatal(err)
	}
	if f := fault(t, service, "own"); f == nil || f.Code != wire.UnknownKey {
		t.Errorf("hsmd's own PIN: %+v", f)
	}
}

// TestOneCallForOneSignature: the library is asked once for each, and a key is
// looked up once for all.
func TestOneCallForOneSignature(t *testing.T) {
	token := softhsm.New(t)
	service, calls := spied(t, token)
	d := p256(token, "key", token.PIN)
	if _, err := service.Configure(t.Context(), &wire.ConfigureRequest{Definition: d, Worker: worker(spy)}); err != nil {
		t.Fatal(err)
	}
	made, err := service.Generate(t.Context(), &wire.GenerateRequest{Key: "key", ID: "x"})
	if err != nil {
		t.Fatal(err)
	}
	searches, signatures := calls("C_FindObjectsInit"), calls("C_Sign")
	atOnce(8, func(int) {
		for range 25 {
			if err := sign(t.Context(), service, "key", made.Key.PublicKey); err != nil {
				t.Error(err)
				return
			}
		}
	})
	if n := calls("C_Sign") - signatures; n != 200 {
		t.Errorf("%d calls of C_Sign for 200 signatures", n)
	}
	if n := calls("C_FindObjectsInit") - searches; n != 0 {
		t.Errorf("%d searches for a key that was found", n)
	}
	if n := calls("C_Login"); n != 1 {
		t.Errorf("%d logins", n)
	}
}
