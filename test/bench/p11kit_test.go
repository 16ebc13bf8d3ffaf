package bench_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/test/softhsm"
)

// p11kit is `p11-kit server` with the token behind it. It is used from a
// process of its own: two modules in one disturb each other.
type p11kit struct {
	socket string
	token  *softhsm.Token
}

// p11kitModule is the client's side of the remoting.
const p11kitModule = "/usr/lib/x86_64-linux-gnu/pkcs11/p11-kit-client.so"

func serveP11Kit(b *testing.B, token *softhsm.Token) *p11kit {
	b.Helper()
	k := &p11kit{socket: filepath.Join(b.TempDir(), "p11"), token: token}
	server := exec.Command("p11-kit", "server", "--provider", token.Library, "--name", k.socket, "-f", "pkcs11:token="+token.Label)
	server.Env = append(os.Environ(), token.Env()...)
	if err := server.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	for range 100 {
		if _, err := os.Stat(k.socket); err == nil {
			return k
		}
		time.Sleep(20 * time.Millisecond)
	}
	b.Fatal("p11-kit server does not open its socket")
	return nil
}

// kitOrder is what the child process is to do.
type kitOrder struct {
	Token, PIN, Key, Kind string
	Callers               int
}

// load has a child process sign through the remoting.
func (k *p11kit) load(b *testing.B, key, kind string, callers int) run {
	b.Helper()
	order, err := json.Marshal(kitOrder{k.token.Label, k.token.PIN, key, kind, callers})
	if err != nil {
		b.Fatal(err)
	}
	child := exec.Command(os.Args[0], "-test.run=^$", "-test.bench=^BenchmarkP11KitChild$", "-test.benchtime=1x")
	child.Env = append(os.Environ(), "BENCH_P11KIT="+string(order), "P11_KIT_SERVER_ADDRESS=unix:path="+k.socket)
	var out, errOut bytes.Buffer
	child.Stdout, child.Stderr = &out, &errOut
	if err := child.Run(); err != nil {
		b.Fatalf("p11-kit's client: %v\n%s%s", err, out.String(), errOut.String())
	}
	var r run
	for line := range strings.Lines(out.String()) {
		if _, err := fmt.Sscanf(line, "signed %d in %d", &r.done, &r.took); err == nil {
			return r
		}
	}
	b.Fatalf("p11-kit's client says nothing:\n%s", out.String())
	return r
}

// BenchmarkP11KitChild is the child of BenchmarkSigning; run by hand it does
// nothing.
func BenchmarkP11KitChild(b *testing.B) {
	var order kitOrder
	if text := os.Getenv("BENCH_P11KIT"); text == "" {
		return
	} else if err := json.Unmarshal([]byte(text), &order); err != nil {
		b.Fatal(err)
	}
	d := openDirect(b, p11kitModule, order.Token, order.PIN, order.Key, order.Kind, order.Callers)
	message := []byte("what p11-kit is given to sign")
	r := load(b, order.Callers, roundTime, nil, func(caller int) error { return d.sign(caller, message) })
	fmt.Printf("signed %d in %d\n", r.done, r.took)
}
