package backendtest_test

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/hsmd/backendtest"
	hsmdworker "github.com/hsmpki/hsmpki/hsmd/worker"
	"github.com/hsmpki/hsmpki/test/softhsm"
	"github.com/hsmpki/hsmpki/test/token"
	"github.com/hsmpki/hsmpki/wire"
)

// confined is a token's library in a worker that has its paths and nothing else.
func confined(t *testing.T, k *token.Token) *hsmdworker.Process {
	t.Helper()
	env := map[string]string{}
	for _, pair := range k.Env {
		name, value, _ := strings.Cut(pair, "=")
		env[name] = value
	}
	supervisor := hsmdworker.NewSupervisor(slog.New(slog.DiscardHandler))
	t.Cleanup(supervisor.Close)
	return supervisor.Library(hsmdworker.Library{Name: "library", Path: k.Library, InitArgs: k.InitArgs, Env: env, Paths: k.Paths})
}

// TestSoftHSMConfined runs the suite so.
func TestSoftHSMConfined(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) *backendtest.Backend {
		k := softhsm.New(t)
		service := confined(t, &token.Token{Library: k.Library, Env: k.Env(), Paths: []string{k.Dir}})
		return &backendtest.Backend{Service: service, Key: onToken(k), Worker: worker(k.Library),
			Types: []wire.KeyType{wire.KeyRSA2048, wire.KeyP256, wire.KeyEd25519}, Tool: k.Tool}
	})
}

// TestOthersConfined: libraries that load parts of themselves while they run
// find them, and one finds the daemon that it reaches through a socket.
func TestOthersConfined(t *testing.T) {
	for name, k := range map[string]*token.Token{"NSS": token.NSS(t, "pass-4e77"), "TPM": token.NewTPM(t).Add(t)} {
		service := confined(t, k)
		d := onNSS("key", wire.PKCS11Definition{Library: "library", TokenLabel: k.Label, PIN: k.PIN})
		config := worker(k.Library)
		config.InitArgs = k.InitArgs
		if _, err := service.Configure(t.Context(), &wire.ConfigureRequest{Definition: d, Worker: config}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		made, err := service.Generate(t.Context(), &wire.GenerateRequest{Key: "key", ID: "x"})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := sign(t.Context(), service, "key", made.Key.PublicKey); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
