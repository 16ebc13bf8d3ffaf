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

// function is one of the library's, with the time that it has.
type function struct {
	name  string
	limit time.Duration
}

var (
	cGetFunctionList   = &function{"C_GetFunctionList", stuckAfter} // and the loading
	cInitialize        = &function{"C_Initialize", stuckAfter}
	cFinalize          = &function{"C_Finalize", stuckAfter}
	cGetSlotList       = &function{"C_GetSlotList", stuckAfter}
	cGetTokenInfo      = &function{"C_GetTokenInfo", stuckAfter}
	cGetMechanismList  = &function{"C_GetMechanismList", stuckAfter}
	cGetMechanismInfo  = &function{"C_GetMechanismInfo", stuckAfter}
	cOpenSession       = &function{"C_OpenSession", stuckAfter}
	cCloseSession      = &function{"C_CloseSession", stuckAfter}
	cGetSessionInfo    = &function{"C_GetSessionInfo", stuckAfter}
	cLogin             = &function{"C_Login", stuckAfter}
	cLoginAtPad        = &function{"C_Login", stuckPad}
	cFindObjects       = &function{"C_FindObjects", stuckAfter}
	cGetAttributeValue = &function{"C_GetAttributeValue", stuckAfter}
	cGenerateKeyPair   = &function{"C_GenerateKeyPair", stuckMaking}
	cGenerateRandom    = &function{"C_GenerateRandom", stuckAfter}
	cSignInit          = &function{"C_SignInit", stuckAfter}
	cSign              = &function{"C_Sign", stuckAfter}
)

// watch knows the calls that are in the library. Entering and leaving is on the
// way of each signature, and takes no lock.
type watch struct {
	began time.Time
	next  atomic.Uint32
	calls [512]underWay // more than a connection has requests
}

// underWay is the place of one call. Whoever takes it sets function first and
// clears it last; since is 0 in between.
type underWay struct {
	function atomic.Pointer[function]
	since    atomic.Int64 // since began
}

func newWatch(log *slog.Logger, closed <-chan struct{}) *watch {
	w := &watch{began: time.Now()}
	go w.run(log, closed)
	return w
}

// enter finds a call a place, most often the first that it tries.
func (w *watch) enter(f *function) *underWay {
	for {
		u := &w.calls[w.next.Add(1)%uint32(len(w.calls))]
		if u.function.CompareAndSwap(nil, f) {
			u.since.Store(int64(time.Since(w.began)))
			return u
		}
	}
}

func (u *underWay) leave() {
	u.since.Store(0)
	u.function.Store(nil)
}

// run looks after the calls as long as the library is in use.
func (w *watch) run(log *slog.Logger, closed <-chan struct{}) {
	for {
		select {
		case <-time.After(time.Second / 2):
		case <-closed:
			return
		}
		if f := w.stuck(); f != nil {
			log.Error("a call of the library does not return; this worker is given up", "function", f.name, "after", f.limit.String())
			os.Exit(exitStuck)
		}
	}
}

// stuck gives the function of a call whose time is up.
func (w *watch) stuck() *function {
	now := time.Since(w.began)
	for i := range w.calls {
		f, since := w.calls[i].function.Load(), time.Duration(w.calls[i].since.Load())
		if f != nil && since != 0 && now-since > f.limit {
			return f
		}
	}
	return nil
}
