package backendtest_test

import (
	"errors"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"time"

	hsmdworker "github.com/hsmpki/hsmpki/hsmd/worker"
	"github.com/hsmpki/hsmpki/test/faultmodule"
	"github.com/hsmpki/hsmpki/test/secret"
	"github.com/hsmpki/hsmpki/test/softhsm"
	"github.com/hsmpki/hsmpki/wire"
)

// failing is a token with a key, behind the module that goes wrong, in a worker
// as hsmd has it.
type failing struct {
	*hsmdworker.Process
	token  *softhsm.Token
	faults *faultmodule.Module
	log    *secret.Log
	spki   []byte
}

func newFailing(t *testing.T) *failing {
	t.Helper()
	token := softhsm.New(t)
	f := &failing{token: token, faults: faultmodule.New(t, token.Library), log: secret.NewLog(t, "the worker")}
	f.Process = f.supervised(t, f.faults.Library)
	f.configure(t, p256(token, "key", token.PIN))
	made, err := f.Generate(t.Context(), &wire.GenerateRequest{Key: "key", ID: "x"})
	if err != nil {
		t.Fatal(err)
	}
	f.spki = made.Key.PublicKey
	f.signs(t)
	return f
}

// supervised is another worker with the same token and faults.
func (f *failing) supervised(t *testing.T, library string) *hsmdworker.Process {
	t.Helper()
	env := maps.Clone(f.faults.Env)
	env["SOFTHSM2_CONF"] = f.token.Conf
	supervisor := hsmdworker.NewSupervisor(slog.New(slog.NewTextHandler(f.log, nil)))
	t.Cleanup(supervisor.Close)
	return supervisor.Library(hsmdworker.Library{Name: "faulty", Path: library, Env: env})
}

func (f *failing) configure(t *testing.T, d wire.Definition) {
	t.Helper()
	if _, err := f.Configure(t.Context(), &wire.ConfigureRequest{Definition: d, Worker: worker(f.faults.Library)}); err != nil {
		t.Fatal(err)
	}
}

// signs wants a signature at once.
func (f *failing) signs(t *testing.T) {
	t.Helper()
	if err := sign(t.Context(), f, "key", f.spki); err != nil {
		t.Errorf("%v; want a signature", err)
	}
}

// fails wants a failure of a class that says some words.
func (f *failing) fails(t *testing.T, code wire.Code, words ...string) {
	t.Helper()
	wants(t, sign(t.Context(), f, "key", f.spki), code, words...)
}

// comesBack asks until there is a signature, and wants nothing but to be told to
// come again meanwhile.
func (f *failing) comesBack(t *testing.T) {
	t.Helper()
	for range 300 {
		err := sign(t.Context(), f, "key", f.spki)
		if err == nil {
			return
		}
		wants(t, err, wire.Unavailable)
		time.Sleep(wire.AsError(err).RetryAfter)
	}
	t.Fatal("the token did not come back")
}

// wants checks a failure's code and that its text says something, and nothing
// of a PIN.
func wants(t *testing.T, err error, code wire.Code, words ...string) {
	t.Helper()
	failure, ok := errors.AsType[*wire.Error](err)
	if !ok || failure.Code != code {
		t.Errorf("got %v, want %v", err, code)
		return
	}
	for _, word := range words {
		if !strings.Contains(failure.Message, word) {
			t.Errorf("%q does not say %q", failure.Message, word)
		}
	}
	if code == wire.Unavailable && failure.RetryAfter == 0 {
		t.Errorf("%q does not say when to come again", failure.Message)
	}
	if strings.Contains(failure.Message, softhsm.PIN) {
		t.Errorf("the PIN is in %q", failure.Message)
	}
}

// away is what the status says of the tokens that are away.
func (f *failing) away(t *testing.T) []wire.BreakerStatus {
	t.Helper()
	status, err := f.Status(t.Context(), &wire.StatusRequest{})
	if err != nil || len(status.Libraries) != 1 {
		t.Fatalf("status: %+v, %v", status, err)
	}
	return status.Libraries[0].Away
}
