package test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/test/daemon"
	"github.com/hsmpki/hsmpki/test/witness"
)

// verifyAudit has the log of signatures verified, and gives what was said.
func verifyAudit(t *testing.T, h *daemon.HSMD) string {
	t.Helper()
	out, err := exec.Command(filepath.Join(daemon.Bin(t), "hsmd"), "audit", "verify", "-config="+h.Config).CombinedOutput()
	if err != nil {
		t.Errorf("hsmd audit verify: %v\n%s", err, out)
	}
	return string(out)
}

// certificatesIn gives the serial numbers of the certificates in the log, with
// whether it says that they were signed.
func certificatesIn(t *testing.T, h *daemon.HSMD) map[string]bool {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(h.State, "audit*.log"))
	if err != nil {
		t.Fatal(err)
	}
	serials, signed := map[uint64]string{}, map[string]bool{}
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for in := bufio.NewReader(f); ; {
			line, err := in.ReadBytes('\n')
			if err != nil {
				break
			}
			var l struct {
				Seq, Of      uint64
				Kind, Serial string
			}
			if err := json.Unmarshal(line, &l); err != nil {
				t.Fatalf("%v in %s", err, line)
			}
			switch l.Kind {
			case "certificate":
				serials[l.Seq], signed[l.Serial] = l.Serial, false
			case "signed":
				signed[serials[l.Of]] = true
			}
		}
	}
	return signed
}

// TestAuditAfterKill9 kills hsmd at random moments while it signs: each time its
// log is whole but for a torn end, and it has every certificate that was answered.
func TestAuditAfterKill9(t *testing.T) {
	p := daemon.Start(t)
	ca(t, p)
	l := startLoad(t, p.PKID, 4)
	for range 8 {
		l.waitFor(t, 5)
		time.Sleep(rand.N(50 * time.Millisecond))
		p.HSMD.Kill9()
		verifyAudit(t, p.HSMD)
		p.HSMD.Start()
		verifyAudit(t, p.HSMD)
	}
	l.waitFor(t, 5)
	l.finish(t, p)
	logged := certificatesIn(t, p.HSMD)
	for _, s := range l.serials {
		if _, ok := logged[s]; !ok {
			t.Errorf("the certificate %s was given out and is not in the log of signatures", s)
		}
	}
	p.HSMD.Stop()
	if out := verifyAudit(t, p.HSMD); !strings.Contains(out, "start: 9") {
		t.Errorf("hsmd audit verify: %s", out)
	}
}

// TestAuditOldCopy: hsmd does not start on a log that is older than what it has
// signed for.
func TestAuditOldCopy(t *testing.T) {
	p := daemon.Start(t)
	ca(t, p)
	p.HSMD.Stop()
	path := filepath.Join(p.HSMD.State, "audit.log")
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	p.HSMD.Start()
	p.PKID.Must(t, "POST", "pki/sign/web", map[string]any{"csr": request(t, "www.example.com"), "common_name": "www.example.com"})
	p.HSMD.Stop()
	if err := os.WriteFile(path, old, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(filepath.Join(daemon.Bin(t), "hsmd"), "audit", "verify", "-config="+p.HSMD.Config).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "an old copy put in its place") {
		t.Errorf("hsmd audit verify: %v\n%s", err, out)
	}
	p.HSMD.Launch()
	if code := p.HSMD.WaitEnd(); code != 1 || !strings.Contains(p.HSMD.Log(), "an old copy put in its place") {
		t.Errorf("hsmd ended with %d:\n%s", code, p.HSMD.Log())
	}
}

// TestAuditOldCopyAndWitness: the whole machine is put back to what it was, and the
// witness knows better.
func TestAuditOldCopyAndWitness(t *testing.T) {
	p := daemon.Start(t)
	ca(t, p)
	p.HSMD.Stop()
	out := verifyAudit(t, p.HSMD)
	_, key, _ := strings.Cut(out, "key: ")
	w := witness.Start(t)
	w.Trust(strings.TrimSpace(key))
	p.HSMD.Write(t, daemon.Libraries(p.Token.Store)+daemon.WireKeys+fmt.Sprintf("witness \"elsewhere\" {\n  url = %q\n  key = %q\n  required = true\n}\n", w.URL, w.Key))
	old := filepath.Join(t.TempDir(), "old")
	if err := os.CopyFS(old, os.DirFS(p.HSMD.State)); err != nil {
		t.Fatal(err)
	}
	p.HSMD.Start()
	p.PKID.Must(t, "POST", "pki/sign/web", map[string]any{"csr": request(t, "www.example.com"), "common_name": "www.example.com"})
	p.HSMD.Stop()
	if w.Size() == 0 {
		t.Error("the witness was not asked")
	}
	if err := os.RemoveAll(p.HSMD.State); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(p.HSMD.State, os.DirFS(old)); err != nil {
		t.Fatal(err)
	}
	verifyAudit(t, p.HSMD) // it is whole; only old
	p.HSMD.Launch()
	if code := p.HSMD.WaitEnd(); code != 1 || !strings.Contains(p.HSMD.Log(), "not the one that was witnessed") {
		t.Errorf("hsmd ended with %d:\n%s", code, p.HSMD.Log())
	}
}
