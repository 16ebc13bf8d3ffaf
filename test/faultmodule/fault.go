package faultmodule

import (
	"fmt"
	"math"
	"time"
)

// Any, as a function's name, is every function.
const Any = "*"

// Fault is one way to go wrong. Those for a function hold for each of its calls,
// or for some: see [Fault.Nth] and [Fault.Between].
type Fault struct {
	text     string // of a line in the control file; of a rule the action
	function string // of a rule
	id       int
	from, to uint64
}

func (f Fault) line() string {
	if f.function == "" {
		return f.text
	}
	return fmt.Sprintf("rule %d %s %d %d %s", f.id, f.function, f.from, f.to, f.text)
}

func rule(function, format string, args ...any) Fault {
	return Fault{function: function, from: 1, to: math.MaxInt64, text: fmt.Sprintf(format, args...)}
}

func setting(format string, args ...any) Fault { return Fault{text: fmt.Sprintf(format, args...)} }

// Nth makes the fault one of the nth call alone, counted from 1 at Set.
func (f Fault) Nth(n uint64) Fault { return f.Between(n, n) }

// Between makes the fault one of the calls from the one to the other.
func (f Fault) Between(from, to uint64) Fault {
	f.from, f.to = from, to
	return f
}

// Return answers a CKR code; the real function is not called.
func Return(function string, ckr uint) Fault { return rule(function, "return 0x%x", ckr) }

// Lose calls the real function and answers a CKR code nevertheless.
func Lose(function string, ckr uint) Fault { return rule(function, "lose 0x%x", ckr) }

// Crash raises SIGSEGV.
func Crash(function string) Fault { return rule(function, "crash") }

// Hang does not return as long as the fault is set; then the call is made.
func Hang(function string) Fault { return rule(function, "hang") }

// Sleep is slow, and then makes the call.
func Sleep(function string, d time.Duration) Fault {
	return rule(function, "sleep %d", d.Milliseconds())
}

// Flip breaks a signature: function is C_Sign or C_SignFinal.
func Flip(function string) Fault { return rule(function, "flip") }

// CloseSessions closes all sessions of the process before the call. What other
// threads have under way in them may crash the real library.
func CloseSessions(function string) Fault { return rule(function, "close_sessions") }

// LogOut logs the process out of all tokens before the call.
func LogOut(function string) Fault { return rule(function, "log_out") }

// Sessions has C_OpenSession answer CKR_SESSION_COUNT where so many are open on
// the slot. The token does not say so: see [MaxSessionCount].
func Sessions(n int) Fault { return setting("sessions %d", n) }

// MaxSessionCount is what the token says in ulMaxSessionCount.
func MaxSessionCount(n uint64) Fault { return setting("max_sessions %d", n) }

// Flags sets and clears bits of CK_TOKEN_INFO.flags.
func Flags(set, clear uint) Fault { return setting("flags 0x%x 0x%x", set, clear) }

// Mechanisms leaves the token these alone, of those that it has: in its list,
// for signing and for making keys.
func Mechanisms(ckm ...uint) Fault {
	text := "mechanisms"
	for _, m := range ckm {
		text += fmt.Sprintf(" 0x%x", m)
	}
	return setting("%s", text)
}

// AnyClass, as an object class, is all of them.
const AnyClass = math.MaxUint64

// Attribute answers another value of an attribute for the objects of a class.
func Attribute(cka uint, class uint64, value ...byte) Fault {
	return setting("attribute 0x%x %d %x", cka, int64(class), value)
}

// HideAttribute answers CKR_ATTRIBUTE_TYPE_INVALID.
func HideAttribute(cka uint, class uint64) Fault {
	return setting("attribute 0x%x %d hide", cka, int64(class))
}

// HideClass keeps objects of a class out of what C_FindObjects finds.
func HideClass(cko uint) Fault { return setting("hide_class %d", cko) }

// ECPoint answers CKA_EC_POINT in another form than a DER OCTET STRING: "raw",
// "bits" for a BIT STRING, "short" for an OCTET STRING whose length is in one
// octet even where the long form is needed.
func ECPoint(form string) Fault { return setting("ec_point %s", form) }

// AlwaysAuthenticate makes every private key say CKA_ALWAYS_AUTHENTICATE and
// refuse to sign until C_Login with CKU_CONTEXT_SPECIFIC has shown this PIN.
func AlwaysAuthenticate(pin string) Fault { return setting("always_authenticate %s", pin) }

// ProtectedPIN has C_Login refuse a PIN, and enters this one itself, as a reader
// with a keypad does. Set CKF_PROTECTED_AUTHENTICATION_PATH with [Flags].
func ProtectedPIN(pin string) Fault { return setting("protected_pin %s", pin) }

// LoginAs has C_Login take a vendor's user type for CKU_USER, and no other.
func LoginAs(user uint) Fault { return setting("login_as 0x%x", user) }
