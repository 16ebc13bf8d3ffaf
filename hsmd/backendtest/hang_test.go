package backendtest_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/test/faultmodule"
	"github.com/hsmpki/hsmpki/test/softhsm"
	"github.com/hsmpki/hsmpki/wire"
)

// TestCase17_SignHangs: the call is given up with its worker, once for each time
// that the token is looked for; others are served by the next worker, or told to
// come again; and threads do not pile up.
func TestCase17_SignHangs(t *testing.T) {
	t.Parallel()
	f := newFailing(t)
	other := p256(f.token, "second", f.token.PIN)
	f.configure(t, other)
	made, err := f.Generate(t.Context(), &wire.GenerateRequest{Key: "second", ID: "x"})
	if err != nil {
		t.Fatal(err)
	}
	before, calls := pid(t, f), f.faults.Calls(t, "C_Sign")
	f.faults.Set(t, faultmodule.Hang("C_Sign").Nth(1))
	hanging := make(chan error, 1)
	go func() { hanging <- sign(t.Context(), f, "key", f.spki) }()
	for f.faults.Calls(t, "C_Sign") == calls {
		time.Sleep(time.Millisecond)
	}
	// Those beside it go on until the worker goes, and then with the next one.
	var done atomic.Bool
	var callers int
	ended := make(chan error)
	for callers = range 4 {
		go func() {
			for !done.Load() {
				if err := sign(t.Context(), f, "second", made.Key.PublicKey); err != nil && !retryable(err) {
					ended <- err
					return
				}
			}
			ended <- nil
		}()
	}
	most := 0
	for waiting := true; waiting; {
		select {
		case err := <-hanging:
			wants(t, err, wire.Unavailable, "did not return within 10s")
			waiting = false
		case <-time.After(100 * time.Millisecond):
			most = max(most, threads(t, before))
		}
	}
	done.Store(true)
	for range callers + 1 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if most > 40 {
		t.Errorf("the worker had %d threads", most)
	}
	f.comesBack(t)
	if pid(t, f) == before {
		t.Error("the worker was not replaced")
	}
	if n := strings.Count(f.log.String(), "C_Sign"); n == 0 {
		t.Errorf("the log does not say what hung:\n%s", f.log.String())
	}
}

// retryable reports whether a failure is one that says: come again.
func retryable(err error) bool { return wire.AsError(err).Code.Retryable() }

// threads counts those of a process, 0 when it is gone.
func threads(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, count, _ := bytes.Cut(status, []byte("Threads:\t"))
	count, _, _ = bytes.Cut(count, []byte("\n"))
	n, err := strconv.Atoi(string(count))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestTokenThatHangsForGood: each of many callers is answered, and hardly any of
// them waits.
func TestTokenThatHangsForGood(t *testing.T) {
	t.Parallel()
	f := newFailing(t)
	before := pid(t, f)
	f.faults.Set(t, faultmodule.Hang("C_Sign"))
	most := make(chan int)
	stop := make(chan struct{})
	go func() {
		n := 0
		for {
			select {
			case <-stop:
				most <- n
				return
			case <-time.After(50 * time.Millisecond):
				n = max(n, threads(t, before))
			}
		}
	}()
	atOnce(500, func(int) {
		if err := sign(t.Context(), f, "key", f.spki); err == nil || !retryable(err) {
			t.Errorf("got %v", err)
		}
	})
	close(stop)
	if n := <-most; n > 60 {
		t.Errorf("the worker had %d threads", n)
	}
	calls := f.faults.Calls(t, "C_Sign")
	atOnce(500, func(int) { f.fails(t, wire.Unavailable) })
	if n := f.faults.Calls(t, "C_Sign") - calls; n > 2 {
		t.Errorf("%d of 500 reached the token that is known to hang", n)
	}
	f.faults.Set(t)
	f.comesBack(t)
}

// TestCase18_InitializeHangs: and C_Login. Who needs that library waits for it,
// and nobody else.
func TestCase18_InitializeHangs(t *testing.T) {
	t.Parallel()
	for _, function := range []string{"C_Initialize", "C_Login"} {
		t.Run(function, func(t *testing.T) {
			t.Parallel()
			f := newFailing(t)
			f.faults.Set(t, faultmodule.Hang(function))
			late := f.supervised(t, f.faults.Library)
			if _, err := late.Configure(t.Context(), &wire.ConfigureRequest{Definition: p256(f.token, "key", f.token.PIN), Worker: worker(f.faults.Library)}); err != nil {
				t.Fatal(err)
			}
			calls, hanging := f.faults.Calls(t, function), make(chan error, 1)
			go func() { hanging <- sign(t.Context(), late, "key", f.spki) }()
			for f.faults.Calls(t, function) == calls {
				time.Sleep(time.Millisecond)
			}
			f.signs(t)
			// Nor does whoever asks how things are wait for good.
			status, err := late.Status(t.Context(), &wire.StatusRequest{})
			if err != nil || len(status.Libraries) != 1 || function == "C_Initialize" && status.Libraries[0].Fault == nil {
				t.Errorf("status: %+v, %v", status, err)
			}
			wants(t, <-hanging, wire.Unavailable, "did not return within 10s")
			f.faults.Set(t)
			f.Process = late
			f.comesBack(t)
		})
	}
}

// TestFinalizeHangs: a worker that nobody is left to kill ends all the same.
func TestFinalizeHangs(t *testing.T) {
	t.Parallel()
	token := softhsm.New(t)
	faults := faultmodule.New(t, token.Library)
	cmd := exec.Command("/proc/self/exe", "worker")
	cmd.Env = slices.Concat(os.Environ(), token.Env(), faults.EnvList())
	service := begun(t, cmd)
	if _, err := service.Configure(t.Context(), &wire.ConfigureRequest{Definition: p256(token, "key", token.PIN), Worker: worker(faults.Library)}); err != nil {
		t.Error(err)
	}
	if _, err := service.Generate(t.Context(), &wire.GenerateRequest{Key: "key", ID: "x"}); err != nil {
		t.Error(err)
	}
	faults.Set(t, faultmodule.Hang("C_Finalize"))
	service.Close()
	err := cmd.Wait() // for good, if it does not
	if faults.Calls(t, "C_Finalize") != 1 || err == nil {
		t.Errorf("C_Finalize was called %d times, and the worker ended with %v", faults.Calls(t, "C_Finalize"), err)
	}
}

// TestCase16_SignCrashes: the worker dies and no other; the request that it died
// over is put to the next one.
func TestCase16_SignCrashes(t *testing.T) {
	f := newFailing(t)
	beside := f.supervised(t, f.token.Library)
	if _, err := beside.Configure(t.Context(), &wire.ConfigureRequest{Definition: p256(f.token, "key", f.token.PIN), Worker: worker(f.token.Library)}); err != nil {
		t.Fatal(err)
	}
	if err := sign(t.Context(), beside, "key", f.spki); err != nil {
		t.Fatal(err)
	}
	before, besides := pid(t, f), pid(t, beside)
	f.faults.Set(t, faultmodule.Crash("C_Sign").Nth(1))
	f.signs(t)
	if pid(t, f) == before || pid(t, beside) != besides {
		t.Errorf("the workers were %d and %d, and are %d and %d", before, besides, pid(t, f), pid(t, beside))
	}

	// A library that always crashes costs a few workers, not one for each request.
	f.faults.Set(t, faultmodule.Crash("C_Sign"))
	for range 100 {
		f.fails(t, wire.Unavailable)
	}
	if n := strings.Count(f.log.String(), "a worker died"); n > 10 {
		t.Errorf("%d workers died for 100 requests", n)
	}
	if err := sign(t.Context(), beside, "key", f.spki); err != nil {
		t.Error(err)
	}
	f.faults.Set(t)
	f.comesBack(t)
}
