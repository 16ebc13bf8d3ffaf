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
	where := "library " + m.path
	if token != "" {
		where += ", token " + token
	}
	e := wire.Errorf(classOf(code), "%s: %s (%s)%s", call, ckrName(code), where, hint(call, code))
	if e.Code == wire.Unavailable {
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
func ckrName(code p11.Error) string {
	// miekg's text is "pkcs11: 0xA0: CKR_PIN_INCORRECT", its only table.
	parts := strings.SplitN(code.Error(), ": ", 3)
	if uint(code) < p11.CKR_VENDOR_DEFINED && len(parts) == 3 && strings.HasPrefix(parts[2], "CKR_") {
		return fmt.Sprintf("%s 0x%08X", parts[2], uint(code))
	}
	return fmt.Sprintf("CKR 0x%08X", uint(code))
}

// classOf says what a code means for whoever asked: away, which may pass, or a
// fault. Codes of vendors are mostly about their network: away.
func classOf(code p11.Error) wire.Code {
	switch code {
	case p11.CKR_PIN_INCORRECT, p11.CKR_PIN_INVALID, p11.CKR_PIN_LEN_RANGE, p11.CKR_PIN_EXPIRED, p11.CKR_PIN_LOCKED,
		p11.CKR_USER_PIN_NOT_INITIALIZED:
		return wire.LoginRefused
	case p11.CKR_MECHANISM_INVALID, p11.CKR_MECHANISM_PARAM_INVALID, p11.CKR_KEY_TYPE_INCONSISTENT, p11.CKR_KEY_FUNCTION_NOT_PERMITTED,
		p11.CKR_KEY_SIZE_RANGE, p11.CKR_CURVE_NOT_SUPPORTED, p11.CKR_DOMAIN_PARAMS_INVALID, p11.CKR_FUNCTION_NOT_SUPPORTED,
		p11.CKR_TOKEN_WRITE_PROTECTED, p11.CKR_ATTRIBUTE_TYPE_INVALID, p11.CKR_ATTRIBUTE_VALUE_INVALID, p11.CKR_ATTRIBUTE_READ_ONLY,
		p11.CKR_TEMPLATE_INCOMPLETE, p11.CKR_TEMPLATE_INCONSISTENT:
		return wire.Invalid
	case p11.CKR_DEVICE_ERROR, p11.CKR_DEVICE_MEMORY, p11.CKR_DEVICE_REMOVED, p11.CKR_TOKEN_NOT_PRESENT, p11.CKR_TOKEN_NOT_RECOGNIZED,
		p11.CKR_SESSION_CLOSED, p11.CKR_SESSION_HANDLE_INVALID, p11.CKR_SESSION_COUNT, p11.CKR_HOST_MEMORY, p11.CKR_SLOT_ID_INVALID,
		p11.CKR_USER_NOT_LOGGED_IN, p11.CKR_CRYPTOKI_NOT_INITIALIZED, p11.CKR_FUNCTION_FAILED, p11.CKR_GENERAL_ERROR,
		p11.CKR_OBJECT_HANDLE_INVALID, p11.CKR_KEY_HANDLE_INVALID:
		return wire.Unavailable
	}
	if code >= p11.CKR_VENDOR_DEFINED {
		return wire.Unavailable
	}
	return wire.Internal
}

// hints say what mostly is behind a code that says little.
var hints = map[p11.Error]string{
	p11.CKR_HOST_MEMORY:              "is the library's daemon running?",
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
	if call == "C_Initialize" && code == p11.CKR_GENERAL_ERROR {
		return ": does the library find its configuration, and may this user read it?"
	}
	if call == "C_GenerateKeyPair" && classOf(code) == wire.Invalid {
		return ": the token does not support such keys"
	}
	if text := hints[code]; text != "" {
		return ": " + text
	}
	return ""
}

// isStale tells a handle that its token does not know any more; there are two
// codes for it.
func isStale(err error) bool {
	return isCKR(err, p11.CKR_OBJECT_HANDLE_INVALID) || isCKR(err, p11.CKR_KEY_HANDLE_INVALID)
}

func isCKR(err error, code uint) bool { return errors.Is(err, p11.Error(code)) }
