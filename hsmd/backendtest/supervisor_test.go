package backendtest_test

import (
	"log/slog"
	"syscall"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/hsmd/backendtest"
	hsmdworker "github.com/hsmpki/hsmpki/hsmd/worker"
	"github.com/hsmpki/hsmpki/test/softhsm"
	"github.com/hsmpki/hsmpki/wire"
)

// supervised is a library behind hsmd's own supervisor, ended with the test.
func supervised(t testing.TB, library string, env map[string]string) *hsmdworker.Process {
	t.Helper()
	supervisor := hsmdworker.NewSupervisor(slog.New(slog.DiscardHandler))
	t.Cleanup(supervisor.Close)
	return supervisor.Library(hsmdworker.Library{Name: "softhsm", Path: library, Env: env})
}

// TestSoftHSMBehindTheSupervisor runs the suite as hsmd has its libraries.
func TestSoftHSMBehindTheSupervisor(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) *backendtest.Backend {
		token := softhsm.New(t)
		return &backendtest.Backend{Service: supervised(t, token.Library, map[string]string{"SOFTHSM2_CONF": token.Conf}), Key: onToken(token),
			Worker: worker(token.Library), Types: []wire.KeyType{wire.KeyRSA2048, wire.KeyP256, wire.KeyEd25519}, Tool: token.Tool}
	})
}

// TestKilledWorkersAreNotNoticed: signing goes on while the worker is killed
// again and again.
func TestKilledWorkersAreNotNoticed(t *testing.T) {
	token := softhsm.New(t)
	service := supervised(t, token.Library, map[string]string{"SOFTHSM2_CONF": token.Conf})
	if _, err := service.Configure(t.Context(), &wire.ConfigureRequest{Definition: p256(token, "key", token.PIN), Worker: worker(token.Library)}); err != nil {
		t.Fatal(err)
	}
	made, err := service.Generate(t.Context(), &wire.GenerateRequest{Key: "key", ID: "x"})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		kill(t, service)
		atOnce(8, func(int) {
			for range 25 {
				if err := sign(t.Context(), service, "key", made.Key.PublicKey); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
}

// kill ends the worker that runs, and waits until another has its place.
func kill(t *testing.T, service wire.Service) {
	t.Helper()
	before := pid(t, service)
	if err := syscall.Kill(before, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for range 500 {
		if pid(t, service) != before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the worker was not replaced")
}

func pid(t *testing.T, service wire.Service) int {
	t.Helper()
	status, err := service.Status(t.Context(), &wire.StatusRequest{})
	if err != nil || len(status.Libraries) != 1 {
		t.Fatalf("status: %+v, %v", status, err)
	}
	return status.Libraries[0].PID
}
