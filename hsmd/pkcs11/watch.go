//go:build cgo

package pkcs11

import (
	"log/slog"
	"os"
	"sync/atomic"
	"time"
)

// A call of a library that does not return cannot be taken back: it holds a
// thread and a session for good. So the whole process is given up, and hsmd,
// which has the requests, starts another at once.
const (
	stuckAfter = 10 * time.Second
	// Making an RSA key takes an HSM its time; its request has as much.
	stuckMaking = 120 * time.Second
	// Whoever types a PIN at the token's pad has to come and do so.
	stuckPad = 120 * time.Second
	// exitStuck is the process's status then.
	exitStuck = 75
)

// function is one of the library's.
type function int32

const (
	cNone            function = iota
	cGetFunctionList          // and the loading
	cInitialize
	cFinalize
	cGetSlotList
	cGetTokenInfo
	cGetMechanismList
	cGetMechanismInfo
	cOpenSession
	cCloseSession
	cGetSessionInfo
	cLogin
	cLoginAtPad
	cFindObjects
	cGetAttributeValue
	cGenerateKeyPair
	cGenerateRandom
	cSignInit
	cSign
	functions
)

var functionNames = [functions]string{
	cGetFunctionList:   "C_GetFunctionList",
	cInitialize:        "C_Initialize",
	cFinalize:          "C_Finalize",
	cGetSlotList:       "C_GetSlotList",
	cGetTokenInfo:      "C_GetTokenInfo",
	cGetMechanismList:  "C_GetMechanismList",
	cGetMechanismInfo:  "C_GetMechanismInfo",
	cOpenSession:       "C_OpenSession",
	cCloseSession:      "C_CloseSession",
	cGetSessionInfo:    "C_GetSessionInfo",
	cLogin:             "C_Login",
	cLoginAtPad:        "C_Login",
	cFindObjects:       "C_FindObjects",
	cGetAttributeValue: "C_GetAttributeValue",
	cGenerateKeyPair:   "C_GenerateKeyPair",
	cGenerateRandom:    "C_GenerateRandom",
	cSignInit:          "C_SignInit",
	cSign:              "C_Sign",
}

// watch knows the calls that are in the library. Entering and leaving is on the
// way of each signature, and takes no lock.
type watch struct {
	began time.Time
	next  atomic.Uint32
	calls [512]underWay // more than a connection has requests
	means [functions]atomic.Int64
}

// underWay is the place of one call. Whoever takes it sets function first and
// clears it last; since is 0 in between.
type underWay struct {
	watch    *watch
	function atomic.Int32
	since    atomic.Int64 // since began
}

func newWatch(log *slog.Logger, closed <-chan struct{}) *watch {
	w := &watch{began: time.Now()}
	for i := range w.calls {
		w.calls[i].watch = w
	}
	go w.run(log, closed)
	return w
}

// enter finds a call a place, most often the first that it tries.
func (w *watch) enter(f function) *underWay {
	for {
		u := &w.calls[w.next.Add(1)%uint32(len(w.calls))]
		if u.function.CompareAndSwap(int32(cNone), int32(f)) {
			u.since.Store(int64(time.Since(w.began)))
			return u
		}
	}
}

func (u *underWay) leave() {
	u.watch.took(function(u.function.Load()), time.Since(u.watch.began)-time.Duration(u.since.Load()))
	u.since.Store(0)
	u.function.Store(int32(cNone))
}

// took keeps the mean of a function's last few calls. Those that end together may
// overwrite each other's part.
func (w *watch) took(f function, d time.Duration) {
	mean := w.means[f].Load()
	w.means[f].Store(mean + (int64(d)-mean)/4)
}

// limit is the time that a call has. A slow HSM that does one thing at a time
// keeps those who wait in its library for longer than one that hangs may take;
// but then the calls that end were long as well.
func (w *watch) limit(f function) time.Duration {
	limit := stuckAfter
	switch f {
	case cGenerateKeyPair:
		limit = stuckMaking
	case cLoginAtPad:
		limit = stuckPad
	}
	return max(limit, 4*time.Duration(w.means[f].Load()))
}

// run looks after the calls as long as the library is in use.
func (w *watch) run(log *slog.Logger, closed <-chan struct{}) {
	for {
		select {
		case <-time.After(time.Second / 2):
		case <-closed:
			return
		}
		if f := w.stuck(); f != cNone {
			log.Error("a call of the library does not return; this worker is given up", "function", functionNames[f], "after", w.limit(f).String())
			os.Exit(exitStuck)
		}
	}
}

// stuck gives the function of a call whose time is up, cNone for none.
func (w *watch) stuck() function {
	now := time.Since(w.began)
	for i := range w.calls {
		f, since := function(w.calls[i].function.Load()), time.Duration(w.calls[i].since.Load())
		if f != cNone && since != 0 && now-since > w.limit(f) {
			return f
		}
	}
	return cNone
}
