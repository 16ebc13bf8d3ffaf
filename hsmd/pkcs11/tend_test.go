//go:build cgo

package pkcs11_test

import (
	"crypto/sha256"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/hsmd/pkcs11"
	"github.com/hsmpki/hsmpki/test/faultmodule"
	"github.com/hsmpki/hsmpki/test/softhsm"
	"github.com/hsmpki/hsmpki/wire"
)

// quiet is a token with a key in this process, and how often functions of its
// library are called.
func quiet(t *testing.T) (service *pkcs11.Service, faults *faultmodule.Module, spki []byte) {
	t.Helper()
	token := softhsm.New(t)
	faults = faultmodule.New(t, token.Library)
	t.Setenv("SOFTHSM2_CONF", token.Conf)
	for name, value := range faults.Env {
		t.Setenv(name, value)
	}
	service = pkcs11.New(slog.New(slog.DiscardHandler))
	t.Cleanup(func() { service.Close(true) })
	if _, err := service.Configure(t.Context(), &wire.ConfigureRequest{Worker: &wire.WorkerConfig{Library: faults.Library},
		Definition: wire.Definition{Name: "key", AllowGenerateKey: true, PKCS11: &wire.PKCS11Definition{
			TokenLabel: token.Label, PIN: token.PIN, KeyLabel: "key", Mechanism: 0x1041, Curve: "P256"}}}); err != nil {
		t.Fatal(err)
	}
	made, err := service.Generate(t.Context(), &wire.GenerateRequest{Key: "key", ID: "x"})
	if err != nil {
		t.Fatal(err)
	}
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() { sign(t, service, made.Key.PublicKey) })
	}
	callers.Wait()
	return service, faults, made.Key.PublicKey
}

func sign(t *testing.T, service wire.Service, spki []byte) {
	t.Helper()
	id := sha256.Sum256(spki)
	if _, err := service.Sign(t.Context(), &wire.SignRequest{Key: "key", SPKI: id[:], Scheme: wire.ECDSAP256SHA256, Digest: id[:]}); err != nil {
		t.Error(err)
	}
}

// TestSessionsThatDieInTheQuiet: an HSM closes sessions that nobody uses, and
// logs out. Who looks after them finds it out, not a request.
func TestSessionsThatDieInTheQuiet(t *testing.T) {
	service, faults, spki := quiet(t)
	service.Tend()
	signed := faults.Calls(t, "C_SignInit")
	sign(t, service, spki)
	if n := faults.Calls(t, "C_SignInit") - signed; n != 1 {
		t.Errorf("%d calls of C_SignInit for a signature while all is well", n)
	}
	for _, gone := range []faultmodule.Fault{faultmodule.CloseSessions("C_GetSessionInfo"), faultmodule.LogOut("C_GetSessionInfo")} {
		faults.Set(t, gone.Nth(1))
		service.Tend()
		faults.Set(t)
		signed, logins := faults.Calls(t, "C_SignInit"), faults.Calls(t, "C_Login")
		sign(t, service, spki)
		if n := faults.Calls(t, "C_SignInit") - signed; n != 1 {
			t.Errorf("%d calls of C_SignInit: a request had to find out", n)
		}
		if n := faults.Calls(t, "C_Login") - logins; n != 1 {
			t.Errorf("%d logins", n)
		}
	}
}

// TestSessionsComeBack: a token that had no room for a while, since others used
// it too, is not kept to few sessions for good.
func TestSessionsComeBack(t *testing.T) {
	service, faults, spki := quiet(t)
	many := func() int {
		t.Helper()
		faults.Add(t, faultmodule.Sleep("C_Sign", 20*time.Millisecond))
		var callers sync.WaitGroup
		for range 16 {
			callers.Go(func() { sign(t, service, spki) })
		}
		callers.Wait()
		status, err := service.Status(t.Context(), &wire.StatusRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return status.Libraries[0].Tokens[0].Sessions
	}
	faults.Set(t, faultmodule.CloseSessions("C_GetSessionInfo").Nth(1))
	service.Tend()
	faults.Set(t, faultmodule.Sessions(3))
	if n := many(); n > 3 {
		t.Errorf("%d sessions, where the token allows 3", n)
	}
	faults.Set(t)
	for range 4 {
		service.Tend()
	}
	if n := many(); n < 6 {
		t.Errorf("%d sessions after the token has had room for a while", n)
	}
}
