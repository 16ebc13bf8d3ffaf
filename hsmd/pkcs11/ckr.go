//go:build cgo

package pkcs11

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	p11 "github.com/miekg/pkcs11"

	"github.com/hsmpki/hsmpki/wire"
)

// failure turns a CKR code into the error that hsmd sees. The text has the
// function, the code's name and number, the token and, where the code misleads,
// a hint; never a PIN.
func (m *module) failure(call, token string, err error) *wire.Error {
	if e, ok := errors.AsType[*wire.Error](err); ok {
		return e
	}
	code, ok := errors.AsType[p11.Error](err)
	if !ok {
		return wire.Errorf(wire.Internal, "%s: library %s: %v", call, m.path, err)
	}
	// What is wrapped names the function.
	if function, ok := strings.CutSuffix(err.Error(), ": "+code.Error()); ok && function != call {
		call += ": " + function
	}
	where := "library " + m.path
	if token != "" {
		where += ", token " + token
	}
	e := wire.Errorf(meaning(code).class, "%s: %s (%s)%s", call, ckrName(code), where, hint(call, code))
	if e.Code == wire.Unavailable || e.Code == wire.Busy {
		e.RetryAfter = time.Second
	}
	return e
}

// gaveUp is the failure of a caller whose time was up while he waited.
func gaveUp(ctx context.Context) *wire.Error {
	return &wire.Error{Code: wire.Unavailable, RetryAfter: time.Second, Message: "waiting for the token: " + context.Cause(ctx).Error()}
}

// ckrName is a code as PKCS#11 spells it, with its number; a vendor's own code
// is a number only.
func ckrName(ckr p11.Error) string {
	name := meaning(ckr).name
	if name == "" {
		name = "CKR"
	}
	return fmt.Sprintf("%s 0x%08X", name, uint(ckr))
}

// hints say what mostly is behind a code that says little.
var hints = map[p11.Error]string{
	p11.CKR_CANT_LOCK:                "the library is not fit for several threads",
	p11.CKR_DEVICE_REMOVED:           "the token was taken away",
	p11.CKR_TOKEN_NOT_PRESENT:        "the token was taken away",
	p11.CKR_SESSION_COUNT:            "the token allows no more sessions; set max_sessions",
	p11.CKR_TOKEN_WRITE_PROTECTED:    "nothing can be made on this token",
	p11.CKR_MECHANISM_INVALID:        "the token does not have this mechanism",
	p11.CKR_PIN_LOCKED:               "the security officer has to unlock it",
	p11.CKR_PIN_EXPIRED:              "it has to be changed with the vendor's tool",
	p11.CKR_USER_PIN_NOT_INITIALIZED: "the token has no user PIN yet",
}

func hint(call string, code p11.Error) string {
	if call == "C_Initialize" && code == p11.CKR_HOST_MEMORY {
		return ": is the library's daemon running?"
	}
	if call == "C_Initialize" && code == p11.CKR_GENERAL_ERROR {
		return ": does the library find its configuration, and may this user read it?"
	}
	if call == "C_GenerateKeyPair" && meaning(code).class == wire.Invalid {
		return ": the token does not support such keys"
	}
	if text := hints[code]; text != "" {
		return ": " + text
	}
	return ""
}

func isCKR(err error, code uint) bool { return errors.Is(err, p11.Error(code)) }
