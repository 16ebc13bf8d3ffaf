package backendtest_test

import (
	"context"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hsmpki/hsmpki/hsmd/backendtest"
	"github.com/hsmpki/hsmpki/hsmd/pkcs11"
	hsmdworker "github.com/hsmpki/hsmpki/hsmd/worker"
	"github.com/hsmpki/hsmpki/test/softhsm"
	"github.com/hsmpki/hsmpki/wire"
)

// childEnv makes the test program a process that serves one library on file
// descriptor 3, because a PKCS#11 library's state is its process's.
const childEnv = "BACKENDTEST_CHILD"

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "worker" { // as hsmd's supervisor starts it
		log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
		if err := hsmdworker.Run(func() hsmdworker.Service { return pkcs11.New(log) }); err != nil {
			panic(err)
		}
		return
	}
	if os.Getenv(childEnv) == "" {
		os.Exit(m.Run())
	}
	conn, err := net.FileConn(os.NewFile(3, "wire"))
	if err != nil {
		panic(err)
	}
	service := pkcs11.New(slog.New(slog.DiscardHandler))
	_ = wire.Serve(context.Background(), conn, service, wire.ServeConfig{})
	service.Close(true)
}

// child starts such a process, ended with the test.
func child(t testing.TB, env ...string) *wire.Client {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), env...)
	return serving(t, cmd)
}

// serving starts the test program by a command that may lead elsewhere first.
func serving(t testing.TB, cmd *exec.Cmd) *wire.Client {
	t.Helper()
	client := begun(t, cmd)
	t.Cleanup(func() {
		client.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the library's process: %v", err)
		}
	})
	return client
}

// begun is serving for who waits for the end himself.
func begun(t testing.TB, cmd *exec.Cmd) *wire.Client {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	near, far := os.NewFile(uintptr(pair[0]), "near"), os.NewFile(uintptr(pair[1]), "far")
	defer near.Close()
	defer far.Close()
	cmd.Env = append(cmd.Env, childEnv+"=1")
	cmd.ExtraFiles, cmd.Stderr = []*os.File{far}, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	conn, err := net.FileConn(near)
	if err != nil {
		t.Fatal(err)
	}
	client, err := wire.NewClient(conn, wire.ClientConfig{})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func worker(library string) *wire.WorkerConfig {
	return &wire.WorkerConfig{Library: library, RefusalKey: []byte("a key of thirty-two octets, here")}
}

func onToken(token *softhsm.Token) wire.PKCS11Definition {
	return wire.PKCS11Definition{Library: "softhsm", TokenLabel: token.Label, PIN: token.PIN}
}

var everyType = []wire.KeyType{wire.KeyRSA2048, wire.KeyRSA3072, wire.KeyRSA4096, wire.KeyP256, wire.KeyP384, wire.KeyP521, wire.KeyEd25519}

// TestSoftHSM runs the suite in this process.
func TestSoftHSM(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) *backendtest.Backend {
		token := softhsm.New(t)
		t.Setenv("SOFTHSM2_CONF", token.Conf)
		service := pkcs11.New(slog.New(slog.DiscardHandler))
		t.Cleanup(func() { service.Close(true) })
		return &backendtest.Backend{Service: service, Key: onToken(token), Worker: worker(token.Library), Types: everyType, Tool: token.Tool}
	})
}

// TestSoftHSMInItsProcess runs it over the protocol.
func TestSoftHSMInItsProcess(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) *backendtest.Backend {
		token := softhsm.New(t)
		again := func(t *testing.T) wire.Service { return child(t, token.Env()...) }
		return &backendtest.Backend{Service: again(t), Again: again, Key: onToken(token), Worker: worker(token.Library),
			Types: []wire.KeyType{wire.KeyRSA2048, wire.KeyP256, wire.KeyEd25519}, Tool: token.Tool}
	})
}
