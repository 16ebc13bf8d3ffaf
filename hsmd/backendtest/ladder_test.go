package backendtest_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/test/faultmodule"
	"github.com/hsmpki/hsmpki/wire"
)

// Numbers of functions' answers that tests have the token give.
const (
	ckrHostMemory     = 0x02
	ckrGeneralError   = 0x05
	ckrDeviceError    = 0x30
	ckrDeviceRemoved  = 0x32
	ckrVendor         = 0x80000384
	ckrSessionInvalid = 0xB3
)

// TestOneFailureIsNotNoticed: the first rung, another session.
func TestOneFailureIsNotNoticed(t *testing.T) {
	f := newFailing(t)
	for _, ckr := range []uint{ckrHostMemory, ckrGeneralError, ckrDeviceError, ckrDeviceRemoved, ckrVendor, ckrSessionInvalid, 0x60, 0x82, 0x90, 0x91, 0x101} {
		for _, function := range []string{"C_Sign", "C_SignInit"} {
			f.faults.Set(t, faultmodule.Return(function, ckr).Nth(1))
			before := pid(t, f)
			if err := sign(t.Context(), f, "key", f.spki); err != nil {
				t.Errorf("%s answers 0x%x once: %v", function, ckr, err)
			}
			if pid(t, f) != before {
				t.Errorf("%s answers 0x%x once: the worker was replaced", function, ckr)
			}
		}
	}
}

// TestCase33_FailedSignLeavesNoSessionBehind: a session that is in the middle of
// a signature is not given to the next.
func TestCase33_FailedSignLeavesNoSessionBehind(t *testing.T) {
	f := newFailing(t)
	f.faults.Set(t, faultmodule.Return("C_Sign", 0x20)) // CKR_DATA_INVALID, with the operation still active
	for range 40 {
		f.fails(t, wire.Internal, "C_Sign", "CKR_DATA_INVALID 0x00000020")
	}
	f.faults.Set(t)
	for range 40 {
		f.signs(t)
	}
}

// TestCase21_SessionsClosedBehind: sessions, handles and login are gone at once,
// and one request gets them all back.
func TestCase21_SessionsClosedBehind(t *testing.T) {
	f := newFailing(t)
	before, logins := pid(t, f), f.faults.Calls(t, "C_Login")
	f.faults.Set(t, faultmodule.CloseSessions("C_SignInit").Nth(1))
	f.signs(t)
	f.faults.Set(t, faultmodule.LogOut("C_SignInit").Nth(1))
	f.signs(t)
	if n := f.faults.Calls(t, "C_Login") - logins; n != 2 {
		t.Errorf("%d logins for two that were lost", n)
	}
	if pid(t, f) != before {
		t.Error("the worker was replaced")
	}
}

// TestLibraryThatNeedsToBeInitialisedAnew: the last rung. Nothing but another
// process helps, and the request that finds out gets it.
func TestLibraryThatNeedsToBeInitialisedAnew(t *testing.T) {
	f := newFailing(t)
	before := pid(t, f)
	f.faults.Set(t, faultmodule.Return("C_SignInit", 0x190).Nth(1)) // CKR_CRYPTOKI_NOT_INITIALIZED
	f.signs(t)
	if pid(t, f) == before {
		t.Error("the worker was not replaced")
	}
	if n := strings.Count(f.log.String(), "a token is away"); n != 0 {
		t.Errorf("%d times a token was said to be away", n)
	}
}

// TestCase14_TokenMovedAway: SoftHSM does not see that its token is back until it
// is initialised anew.
func TestCase14_TokenMovedAway(t *testing.T) {
	f := newFailing(t)
	aside := f.token.Tokens + ".aside"
	for range 2 {
		if err := os.Rename(f.token.Tokens, aside); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			f.fails(t, wire.Unavailable)
		}
		if away := f.away(t); len(away) != 1 || !strings.Contains(away[0].Token, `"ca"`) || away[0].Fault == nil {
			t.Errorf("the status says %+v of what is away", away)
		}
		if err := os.Rename(aside, f.token.Tokens); err != nil {
			t.Fatal(err)
		}
		f.comesBack(t)
		if away := f.away(t); len(away) != 0 {
			t.Errorf("the status says %+v of a token that is back", away)
		}
	}
	if gone, back := strings.Count(f.log.String(), "a token is away"), strings.Count(f.log.String(), "a token is back"); gone != 2 || back != 2 {
		t.Errorf("the log says %d times that the token is away, %d times that it is back; want 2 and 2:\n%s", gone, back, f.log.String())
	}
}

// TestCase3_InitializeFails: a library whose daemon does not run is tried again.
func TestCase3_InitializeFails(t *testing.T) {
	f := newFailing(t)
	f.faults.Set(t, faultmodule.Return("C_Initialize", ckrHostMemory))
	late := f.supervised(t, f.faults.Library)
	if _, err := late.Configure(t.Context(), &wire.ConfigureRequest{Definition: p256(f.token, "key", f.token.PIN), Worker: worker(f.faults.Library)}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		wants(t, sign(t.Context(), late, "key", f.spki), wire.Unavailable, "CKR_HOST_MEMORY")
	}
	f.faults.Set(t)
	f.Process = late
	f.comesBack(t)
}

// TestCase38_VendorCode: it is shown as a number, and may pass.
func TestCase38_VendorCode(t *testing.T) {
	f := newFailing(t)
	f.faults.Set(t, faultmodule.Return("C_Sign", ckrVendor))
	f.fails(t, wire.Unavailable, "C_Sign", "0x80000384")
	f.faults.Set(t)
	f.comesBack(t)
}

// TestBreakerStaysClosed: what a token answers is a sign of life.
func TestBreakerStaysClosed(t *testing.T) {
	f := newFailing(t)
	f.configure(t, p256(f.token, "nobody", f.token.PIN))
	wrong := p256(f.token, "wrong", "wrong-pin-9d31")
	f.configure(t, wrong)
	for range 3 {
		wants(t, sign(t.Context(), f, "nobody", f.spki), wire.UnknownKey)
		wants(t, sign(t.Context(), f, "wrong", f.spki), wire.LoginRefused)
		wants(t, sign(t.Context(), f, "key", append([]byte{0}, f.spki...)), wire.KeyChanged)
		f.signs(t)
	}
	if away := f.away(t); len(away) != 0 {
		t.Errorf("%+v is away", away)
	}
}

// TestBreakerOfOneToken: a token that is away costs another of its library
// nothing, not even its worker.
func TestBreakerOfOneToken(t *testing.T) {
	f := newFailing(t)
	other := f.token.Add(t, "other")
	f.faults.Set(t)
	restarted := f.supervised(t, f.faults.Library) // SoftHSM shows the new token to a new process
	f.Process = restarted
	f.configure(t, p256(f.token, "key", f.token.PIN))
	f.configure(t, p256(other, "second", other.PIN))
	made, err := f.Generate(t.Context(), &wire.GenerateRequest{Key: "second", ID: "x"})
	if err != nil {
		t.Fatal(err)
	}
	f.signs(t)
	before := pid(t, f)
	entries, err := os.ReadDir(f.token.Tokens)
	if err != nil {
		t.Fatal(err)
	}
	aside := t.TempDir()
	var moved string
	for _, e := range entries {
		label, err := os.ReadFile(f.token.Tokens + "/" + e.Name() + "/token.object")
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(label), "other") {
			moved = e.Name()
		}
	}
	if err := os.Rename(f.token.Tokens+"/"+moved, aside+"/"+moved); err != nil {
		t.Fatal(err)
	}
	f.fails(t, wire.Unavailable)
	f.fails(t, wire.Unavailable)
	for range 20 {
		if err := sign(t.Context(), f, "second", made.Key.PublicKey); err != nil {
			t.Error(err)
		}
	}
	if pid(t, f) != before {
		t.Error("the worker of a token that is there was replaced")
	}
	if err := os.Rename(aside+"/"+moved, f.token.Tokens+"/"+moved); err != nil {
		t.Fatal(err)
	}
	f.comesBack(t)
	if err := sign(t.Context(), f, "second", made.Key.PublicKey); err != nil {
		t.Error(err)
	}
}

// TestBreakerAnswersAtOnce: while a token is away its library is asked now and
// then, not for each request.
func TestBreakerAnswersAtOnce(t *testing.T) {
	f := newFailing(t)
	f.faults.Set(t, faultmodule.Return("C_SignInit", ckrDeviceError))
	f.fails(t, wire.Unavailable, "CKR_DEVICE_ERROR")
	calls, refused := f.faults.Calls(t, "C_SignInit"), 0
	began := time.Now()
	for range 500 {
		f.fails(t, wire.Unavailable, "CKR_DEVICE_ERROR")
		refused++
	}
	if n := strings.Count(f.log.String(), "\n"); n != 1 {
		t.Errorf("%d lines in the log for one change:\n%s", n, f.log.String())
	}
	// Each probe is two calls in each of two workers. Probes are at least 250 ms
	// apart, however long all this took.
	probes := 1 + int(time.Since(began)/(250*time.Millisecond))
	if n := f.faults.Calls(t, "C_SignInit") - calls; n > 4*probes {
		t.Errorf("%d calls of the token for %d requests, want at most %d", n, refused, 4*probes)
	}
	f.faults.Set(t)
	f.comesBack(t)
}

// TestOneTrialForAllKeysOfAToken: a token with many keys goes away while all of
// them are asked for. Another worker is tried for it once, not for each key.
func TestOneTrialForAllKeysOfAToken(t *testing.T) {
	f := newFailing(t)
	const keys = 20
	name := func(i int) string { return strings.TrimSuffix(fmt.Sprintf("key-%d", i), "-0") }
	for i := range keys {
		d := p256(f.token, name(i), f.token.PIN)
		d.PKCS11.KeyLabel = "key"
		f.configure(t, d)
		if err := sign(t.Context(), f, name(i), f.spki); err != nil {
			t.Fatal(err)
		}
	}
	started := f.faults.Calls(t, "C_Initialize")
	f.faults.Set(t, faultmodule.Return("C_SignInit", ckrDeviceError), faultmodule.Return("C_OpenSession", ckrDeviceError))
	began := time.Now()
	atOnce(keys, func(i int) { wants(t, sign(t.Context(), f, name(i), f.spki), wire.Unavailable, "CKR_DEVICE_ERROR") })
	// Trials are at least 250 ms apart, however long all this took.
	trials := 1 + int(time.Since(began)/(250*time.Millisecond))
	if n := f.faults.Calls(t, "C_Initialize") - started; n > trials {
		t.Errorf("%d workers were tried in %s for %d keys of one token, want at most %d", n, time.Since(began), keys, trials)
	}
	f.faults.Set(t)
	f.comesBack(t)
	for i := range keys {
		if err := sign(t.Context(), f, name(i), f.spki); err != nil {
			t.Errorf("%s, when the token is back: %v", name(i), err)
		}
	}
}

// TestGivingUpOpensNoBreaker: callers whose time is up say nothing about the
// token, though the worker may notice it before they do.
func TestGivingUpOpensNoBreaker(t *testing.T) {
	f := newFailing(t)
	f.faults.Set(t, faultmodule.Sleep("C_Sign", 30*time.Millisecond))
	before := pid(t, f)
	atOnce(64, func(int) {
		for range 20 {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			_ = sign(ctx, f, "key", f.spki)
			cancel()
		}
	})
	f.faults.Set(t)
	f.signs(t)
	if n := strings.Count(f.log.String(), "a token is away"); n != 0 || pid(t, f) != before {
		t.Errorf("the token was said to be away %d times; the worker was %d and is %d", n, before, pid(t, f))
	}
}

// TestLadderBurnsNoPIN: the PIN has changed on a token that fails. The worker
// that is tried beside the first shows the old one once; none after it does.
func TestLadderBurnsNoPIN(t *testing.T) {
	f := newFailing(t)
	f.token.Tool(t, "--change-pin", "--new-pin", "changed-pin-2f08")
	logins := f.faults.Calls(t, "C_Login")
	f.faults.Set(t, faultmodule.Return("C_SignInit", ckrDeviceError))
	atOnce(20, func(int) {
		if err := sign(t.Context(), f, "key", f.spki); !errors.Is(err, wire.Unavailable) && !errors.Is(err, wire.LoginRefused) {
			t.Errorf("got %v", err)
		}
	})
	for range 3 {
		kill(t, f)
		f.fails(t, wire.LoginRefused, "PIN")
	}
	if n := f.faults.Calls(t, "C_Login") - logins; n != 1 {
		t.Errorf("the old PIN was shown %d times", n)
	}
}

// TestDefinitionsReachTheWorkerThatTakesOver: also those that are told while it
// is tried.
func TestDefinitionsReachTheWorkerThatTakesOver(t *testing.T) {
	f := newFailing(t)
	for round := range 5 {
		f.faults.Set(t, faultmodule.Return("C_SignInit", 0x190).Nth(1), faultmodule.Sleep("C_Login", 20*time.Millisecond))
		name := fmt.Sprintf("late-%d", round)
		atOnce(2, func(i int) {
			if i == 0 {
				f.signs(t)
				return
			}
			time.Sleep(time.Duration(round) * 10 * time.Millisecond)
			d := p256(f.token, name, f.token.PIN)
			d.PKCS11.KeyLabel = "key"
			f.configure(t, d)
		})
		f.faults.Set(t)
		if err := sign(t.Context(), f, name, f.spki); err != nil {
			t.Error(err)
		}
		f.signs(t)
	}
}
