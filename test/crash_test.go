package test

import (
	"fmt"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/test/check"
	"github.com/hsmpki/hsmpki/test/daemon"
	"github.com/hsmpki/hsmpki/test/faultmodule"
	"github.com/hsmpki/hsmpki/test/softhsm"
	"github.com/hsmpki/hsmpki/wire"
)

// load signs CSRs with several callers until it is stopped, and remembers what
// was answered.
type load struct {
	p    *daemon.PKID
	csr  string
	stop chan struct{}
	done sync.WaitGroup

	mu      sync.Mutex
	serials []string
	refused []string
}

func startLoad(t *testing.T, p *daemon.PKID, callers int) *load {
	t.Helper()
	l := &load{p: p, csr: request(t, "load.example.com"), stop: make(chan struct{})}
	for range callers {
		l.done.Go(l.caller)
	}
	return l
}

func (l *load) caller() {
	for {
		select {
		case <-l.stop:
			return
		default:
		}
		a, err := l.p.Request("POST", "pki/sign/web", map[string]any{"csr": l.csr, "common_name": "load.example.com"})
		l.mu.Lock()
		switch {
		case err != nil:
			l.refused = append(l.refused, err.Error())
		case a.Status == 200:
			l.serials = append(l.serials, a.Data["serial_number"].(string))
		default:
			l.refused = append(l.refused, fmt.Sprintf("%d %v", a.Status, a.Errors))
		}
		l.mu.Unlock()
		if err != nil {
			time.Sleep(5 * time.Millisecond) // pkid is away: do not spin
		}
	}
}

func (l *load) signed() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.serials)
}

func (l *load) refusals() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.refused)
}

// waitFor waits until that many more certificates have been answered.
func (l *load) waitFor(t *testing.T, more int) {
	t.Helper()
	want := l.signed() + more
	for end := time.Now().Add(60 * time.Second); l.signed() < want; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d of %d certificates after a minute; refused: %.5q", l.signed(), want, l.refused)
		}
	}
}

// finish stops the callers and checks that every certificate that was answered
// is stored, and that the CA is sound.
func (l *load) finish(t *testing.T, p *daemon.Pair) {
	t.Helper()
	close(l.stop)
	l.done.Wait()
	stored := p.PKID.Must(t, "LIST", "pki/certs", nil).Data["keys"].([]any)
	in := make(map[any]bool, len(stored))
	for _, s := range stored {
		in[s] = true
	}
	for _, s := range l.serials {
		if !in[s] {
			t.Errorf("the certificate %s was given out and is not stored", s)
		}
	}
	unique := slices.Compact(slices.Sorted(slices.Values(l.serials)))
	if len(unique) != len(l.serials) {
		t.Errorf("%d serial numbers in %d certificates", len(unique), len(l.serials))
	}
	check.CA(t, p)
}

// TestWorkerKilled kills the worker again and again: nobody notices.
func TestWorkerKilled(t *testing.T) {
	p := daemon.Start(t)
	ca(t, p)
	l := startLoad(t, p.PKID, 4)
	for range 3 {
		l.waitFor(t, 20)
		pids := p.HSMD.WorkerPIDs()
		if len(pids) != 1 {
			t.Fatalf("hsmd has the workers %v, want one", pids)
		}
		if err := syscall.Kill(pids[0], syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	l.waitFor(t, 20)
	l.finish(t, p)
	if len(l.refused) > 0 {
		t.Errorf("refused while the worker was replaced: %.5q", l.refused)
	}
}

// TestCase53_HSMDKilled kills hsmd and starts it again: requests wait, and none is
// lost.
func TestCase53_HSMDKilled(t *testing.T) {
	p := daemon.Start(t)
	ca(t, p)
	l := startLoad(t, p.PKID, 4)
	for range 2 {
		l.waitFor(t, 20)
		workers := p.HSMD.WorkerPIDs()
		p.HSMD.Kill9()
		for _, pid := range workers {
			waitGone(t, pid)
		}
		p.HSMD.Start()
	}
	l.waitFor(t, 20)
	l.finish(t, p)
	if len(l.refused) > 0 {
		t.Errorf("refused although hsmd came back: %.5q", l.refused)
	}
}

// TestPKIDKilled kills pkid in the middle of issuing: what it had answered is
// there when it is back.
func TestPKIDKilled(t *testing.T) {
	p := daemon.Start(t)
	ca(t, p)
	l := startLoad(t, p.PKID, 8)
	for range 3 {
		l.waitFor(t, 30)
		p.PKID.Kill9()
		p.PKID.Start()
	}
	l.waitFor(t, 30)
	l.finish(t, p)
}

// TestCase52_HSMDAway asks while hsmd is gone for good: 503 that says when to try
// again, nothing stored, and everything works when it is back.
func TestCase52_HSMDAway(t *testing.T) {
	p := daemon.Start(t)
	ca(t, p)
	before := check.Certificates(t, p.PKID, "pki/")
	p.HSMD.Stop()
	a := p.PKID.Refused(t, "POST", "pki/issue/web", map[string]any{"common_name": "www.example.com"}, 503, "hsmd")
	if a.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	p.PKID.Must(t, "GET", "pki/ca", nil)
	if after := check.Certificates(t, p.PKID, "pki/"); after != before {
		t.Errorf("%d certificates, %d before", after, before)
	}
	p.HSMD.Start()
	p.PKID.Must(t, "POST", "pki/issue/web", map[string]any{"common_name": "www.example.com"})
	check.CA(t, p)
}

// TestSecondPKID starts a second pkid on the state of the first: it is refused
// and the first is not disturbed.
func TestSecondPKID(t *testing.T) {
	p := daemon.Start(t)
	ca(t, p)
	second := daemon.NewPKID(t, p.HSMD, "")
	second.OnStateOf(t, p.PKID)
	second.Launch()
	if code := second.WaitEnd(); code == 0 || code == -1 {
		t.Errorf("the second pkid ended with code %d\n%s", code, second.Log())
	}
	p.PKID.Must(t, "POST", "pki/issue/web", map[string]any{"common_name": "www.example.com"})
	check.CA(t, p)
}

// TestHungWorkerEndsWithHSMD: a worker whose library does not return holds the
// token's session no longer than hsmd lives, however hsmd ends.
func TestHungWorkerEndsWithHSMD(t *testing.T) {
	token := softhsm.New(t)
	faults := faultmodule.New(t, token.Library)
	h := daemon.NewHSMD(t, faulty(token.Store, faults, "softhsm")+hclKey(token, "ca"))
	h.Start()
	s := signerOf(t, wireClient(t, h.Socket), "ca")
	workers := h.WorkerPIDs()
	faults.Set(t, faultmodule.Hang("C_Sign"))
	calls := faults.Calls(t, "C_Sign")
	asked := make(chan error)
	message := tbsCertificate(t, s)
	go func() { asked <- s.ask(func(r *wire.SignRequest) { r.Message = message }) }()
	eventually(t, "C_Sign is called", func() bool { return faults.Calls(t, "C_Sign") > calls })
	h.Kill9()
	if err := <-asked; err == nil {
		t.Error("signed by a library that hangs")
	}
	for _, pid := range workers {
		waitGone(t, pid)
	}
}

// waitGone waits until a process whose parent was killed has ended too.
func waitGone(t *testing.T, pid int) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); syscall.Kill(pid, 0) == nil; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Errorf("the worker %d outlives hsmd", pid)
			return
		}
	}
}
