package test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/test/daemon"
	"github.com/hsmpki/hsmpki/test/softhsm"
	"github.com/hsmpki/hsmpki/wire"
)

// hclKey is a managed_key block for a P-256 key that any mount may use and
// that is made when it is not there.
func hclKey(token *softhsm.Token, name string) string {
	return hclKeyIn("softhsm", token, name, token.PIN)
}

func hclKeyIn(library string, token *softhsm.Token, name, pin string) string {
	return fmt.Sprintf(`
managed_key "pkcs11" %q {
  library            = %q
  token_label        = %q
  pin                = %q
  key_label          = %q
  mechanism          = "0x1041"
  curve              = "P256"
  allow_generate_key = true
  any_mount          = true
}
`, name, library, token.Label, pin, name)
}

// client is a client block for one user.
func client(name string, uid int, capabilities, keys string) string {
	return fmt.Sprintf(`
client %q {
  user         = %d
  capabilities = [%s]
  keys         = [%s]
}
`, name, uid, capabilities, keys)
}

// everything is a client block for whoever runs the test.
func everything() string {
	return client("all", os.Getuid(), `"sign", "generate", "test", "configure"`, `"*"`)
}

// reload puts other blocks in force, and gives what hsmd logged.
func reload(t *testing.T, h *daemon.HSMD, blocks string) string {
	t.Helper()
	h.Write(t, blocks)
	log, taken := h.Reload()
	if !taken {
		t.Fatalf("the configuration was not taken:\n%s\n%s", blocks, log)
	}
	return log
}

// notTaken has hsmd refuse other blocks, for reasons with these words.
func notTaken(t *testing.T, h *daemon.HSMD, blocks string, words ...string) {
	t.Helper()
	h.Write(t, blocks)
	log, taken := h.Reload()
	if taken {
		t.Fatalf("the configuration was taken:\n%s\n%s", blocks, log)
	}
	says(t, log, words...)
	if strings.Contains(log, `"msg":"rule `) {
		t.Errorf("a rule changed:\n%s", log)
	}
}

// says checks that a log has pieces in it.
func says(t *testing.T, log string, pieces ...string) {
	t.Helper()
	for _, piece := range pieces {
		if !strings.Contains(log, piece) {
			t.Errorf("the log does not say %q:\n%s", piece, log)
		}
	}
}

// eventually waits until something has become so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !so(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not after 30 s: %s", what)
		}
	}
}

// signing is a number of clients of hsmd that sign without a pause.
type signing struct {
	stop chan struct{}
	done sync.WaitGroup
	made atomic.Int64

	mu     sync.Mutex
	failed []error
}

// startSigning signs with keys of hsmd, each over a connection of its own.
func startSigning(t *testing.T, h *daemon.HSMD, names ...string) *signing {
	t.Helper()
	l := &signing{stop: make(chan struct{})}
	for _, name := range names {
		s := signerOf(t, wireClient(t, h.Socket), name)
		tbs := tbsCertificate(t, s)
		l.done.Go(func() {
			for {
				select {
				case <-l.stop:
					return
				default:
				}
				if err := s.ask(func(r *wire.SignRequest) { r.Message = tbs }); err != nil {
					l.mu.Lock()
					l.failed = append(l.failed, err)
					l.mu.Unlock()
				}
				l.made.Add(1)
			}
		})
	}
	return l
}

// waitFor waits for more signatures.
func (l *signing) waitFor(t *testing.T, more int64) {
	t.Helper()
	want := l.made.Load() + more
	eventually(t, "signatures are made", func() bool { return l.made.Load() >= want })
}

// finish fails the test for each signature that was not made.
func (l *signing) finish(t *testing.T) {
	t.Helper()
	close(l.stop)
	l.done.Wait()
	if len(l.failed) > 0 {
		t.Errorf("%d of %d signatures failed, the first: %v", len(l.failed), l.made.Load(), l.failed[0])
	}
}

// TestReloadUnderLoad reloads again and again what can be changed, while clients
// of hsmd and of pkid are at work: not one request fails.
func TestReloadUnderLoad(t *testing.T) {
	token, other := softhsm.New(t), softhsm.New(t)
	library := daemon.Libraries(token.Store)
	keys := hclKey(token, "ca") + hclKey(token, "direct")
	h := daemon.NewHSMD(t, library+keys)
	h.Start()
	p := &daemon.Pair{Token: token, HSMD: h, PKID: daemon.NewPKID(t, h, "")}
	p.PKID.Start()
	p.PKID.Must(t, "POST", "sys/mounts/pki", map[string]any{"type": "pki", "config": map[string]any{"max_lease_ttl": "87600h"}})
	p.PKID.Must(t, "POST", "pki/root/generate/kms", map[string]any{"managed_key_name": "ca", "common_name": "Root", "ttl": "8760h"})
	p.PKID.Must(t, "POST", "pki/roles/web", map[string]any{"allowed_domains": "example.com", "allow_subdomains": true, "key_type": "ec"})

	second := strings.Replace(daemon.Libraries(other.Store), `"softhsm"`, `"second"`, 1) + hclKeyIn("second", other, "elsewhere", other.PIN)
	sessions := strings.Replace(library, "  env ", "  max_sessions = 4\n  env ", 1)
	signing := startSigning(t, h, "direct", "direct", "ca")
	issuing := startLoad(t, p.PKID, 2)
	for range 5 {
		for _, blocks := range []string{
			library + keys + hclKey(token, "extra"),
			sessions + keys,
			sessions + keys + second,
			library + keys + second + everything(),
			library + keys + everything() + daemon.WireKeys,
			library + keys,
		} {
			reload(t, h, blocks)
			signing.waitFor(t, 5)
		}
		issuing.waitFor(t, 1)
	}
	signing.finish(t)
	issuing.finish(t, p)
	if len(issuing.refused) > 0 {
		t.Errorf("pkid refused %d requests, the first: %s", len(issuing.refused), issuing.refused[0])
	}
	// What is old has gone with the last request that needed it.
	eventually(t, "one worker is left", func() bool { return len(h.WorkerPIDs()) == 1 })
}

// TestReloadStorm sends signals faster than hsmd reloads: those that come during
// a reload make one more, and the last file is in force in the end.
func TestReloadStorm(t *testing.T) {
	token := softhsm.New(t)
	blocks := daemon.Libraries(token.Store) + hclKey(token, "ca")
	h := daemon.NewHSMD(t, blocks)
	h.Start()
	signing := startSigning(t, h, "ca", "ca")
	file := h.Config
	for i := range 100 {
		// As an editor does it: the file is the one or the other at any time.
		h.Config = file + ".new"
		h.Write(t, blocks+hclKey(token, fmt.Sprintf("key-%d", i)))
		if err := os.Rename(h.Config, file); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(h.PID(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	h.Config = file
	c := wireClient(t, h.Socket)
	eventually(t, "the last file is in force", func() bool {
		_, err := c.Describe(t.Context(), &wire.DescribeRequest{Key: "key-99"})
		return err == nil
	})
	all, err := c.Describe(t.Context(), &wire.DescribeRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if len(all.Keys) != 2 {
		t.Errorf("%d keys in the end, want two", len(all.Keys))
	}
	signing.finish(t)
	if strings.Contains(h.Log(), "a fault in the configuration") {
		t.Error("a file was not taken")
	}
}

// TestRequestKeepsItsConfiguration: a message that is still on its way when its
// key and its library leave the configuration is signed, and the next one is
// not.
func TestRequestKeepsItsConfiguration(t *testing.T) {
	token := softhsm.New(t)
	library := daemon.Libraries(token.Store)
	h := daemon.NewHSMD(t, library+hclKey(token, "ca")+everything())
	h.Start()
	s := signerOf(t, wireClient(t, h.Socket), "ca")
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	list := revocationList(t, key)

	begun, rest := make(chan struct{}), make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		end := len(list) - 100
		ended <- s.ask(func(r *wire.SignRequest) {
			r.Parts = io.MultiReader(bytes.NewReader(list[:end]), &held{begun, rest}, bytes.NewReader(list[end:]))
		})
	}()
	<-begun
	log := reload(t, h, everything())
	says(t, log, `"rule removed","rule":"managed_key \"ca\""`, `"rule removed","rule":"kms_library \"softhsm\""`)
	if err := s.ask(func(r *wire.SignRequest) { r.Message = list[:1000] }); !errors.Is(err, wire.UnknownKey) {
		t.Errorf("a request that began after the reload: %v, want unknown key", err)
	}
	if n := len(h.WorkerPIDs()); n != 1 {
		t.Errorf("%d workers while a request needs one", n)
	}
	close(rest)
	if err := <-ended; err != nil {
		t.Errorf("the request that began before the reload: %v", err)
	}
	eventually(t, "the worker ends", func() bool { return len(h.WorkerPIDs()) == 0 })
}

// held is a part of a message that does not come before it may. When the client
// comes to it, hsmd has begun to read the message.
type held struct{ begun, rest chan struct{} }

func (h *held) Read([]byte) (int, error) {
	close(h.begun)
	<-h.rest
	return 0, io.EOF
}
