package backendtest_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/test/softhsm"
	"github.com/hsmpki/hsmpki/wire"
)

// serveP11Kit starts p11-kit's server with the token behind it.
func serveP11Kit(t *testing.T, token *softhsm.Token, socket string) *exec.Cmd {
	t.Helper()
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	server := exec.Command("p11-kit", "server", "--provider", token.Library, "--name", socket, "-f", "pkcs11:token="+token.Label)
	server.Env = append(os.Environ(), token.Env()...)
	// It has a process for each connection, which outlives it.
	server.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-server.Process.Pid, syscall.SIGKILL)
		_ = server.Wait()
	})
	for range 500 {
		if _, err := os.Stat(socket); err == nil {
			return server
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("p11-kit server does not open its socket")
	return nil
}

// TestCase15_ServerOfTheLibraryKilled: the HSM is on the other end of a
// connection that breaks under load. Calls fail as ones to be made again, each
// signature verifies, and the server is used again when it is back.
func TestCase15_ServerOfTheLibraryKilled(t *testing.T) {
	const library = "/usr/lib/x86_64-linux-gnu/pkcs11/p11-kit-client.so"
	token := softhsm.New(t)
	socket := filepath.Join(t.TempDir(), "p11")
	server := serveP11Kit(t, token, socket)
	service := supervised(t, library, map[string]string{"P11_KIT_SERVER_ADDRESS": "unix:path=" + socket})
	configure(t, service, p256(token, "key", token.PIN), worker(library))
	made, err := service.Generate(t.Context(), &wire.GenerateRequest{Key: "key", ID: "x"})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		var signed atomic.Int64
		var down atomic.Bool
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			atOnce(8, func(int) {
				for !down.Load() {
					err := sign(t.Context(), service, "key", made.Key.PublicKey)
					if err == nil {
						signed.Add(1)
						continue
					}
					wants(t, err, wire.Unavailable)
					down.Store(true)
				}
			})
		}()
		for signed.Load() < 50 {
			time.Sleep(time.Millisecond)
		}
		if err := syscall.Kill(-server.Process.Pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		<-ended
		_ = server.Wait()
		server = serveP11Kit(t, token, socket)
		for {
			err := sign(t.Context(), service, "key", made.Key.PublicKey)
			if err == nil {
				break
			}
			wants(t, err, wire.Unavailable)
			time.Sleep(wire.AsError(err).RetryAfter)
		}
	}
}
