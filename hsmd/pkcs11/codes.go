//go:build cgo

package pkcs11

import (
	p11 "github.com/miekg/pkcs11"

	"github.com/hsmpki/hsmpki/wire"
)

// rung says what in this process may help against a failure. What helps no
// more, or was tried, is answered; hsmd's last rung is another process.
type rung int

const (
	noRung        rung = iota
	otherSession       // the call is made again in another session
	freshSessions      // in another, and those that are idle are closed: they are gone as well
	otherHandle        // the key is looked up again
	otherLogin         // the token is logged in to again
)

// code is what a CKR code means: to whoever asked, and for what is done next.
type code struct {
	name  string
	class wire.Code
	rung  rung
}

// codes are all of PKCS#11 2.40, 3.0, 3.1 and 3.2 that a function returns.
// What only functions return that are never called is a fault of the library.
var codes = map[p11.Error]code{
	0x001: {"CKR_CANCEL", wire.Unavailable, otherSession},
	0x002: {"CKR_HOST_MEMORY", wire.Unavailable, otherSession},
	0x003: {"CKR_SLOT_ID_INVALID", wire.Unavailable, otherLogin},
	0x005: {"CKR_GENERAL_ERROR", wire.Unavailable, otherSession},
	0x006: {"CKR_FUNCTION_FAILED", wire.Unavailable, otherSession},
	0x007: {"CKR_ARGUMENTS_BAD", wire.Internal, noRung},
	0x008: {"CKR_NO_EVENT", wire.Internal, noRung},
	0x009: {"CKR_NEED_TO_CREATE_THREADS", wire.Internal, noRung},
	0x00A: {"CKR_CANT_LOCK", wire.Internal, noRung},
	0x010: {"CKR_ATTRIBUTE_READ_ONLY", wire.Invalid, noRung},
	0x011: {"CKR_ATTRIBUTE_SENSITIVE", wire.Internal, noRung},
	0x012: {"CKR_ATTRIBUTE_TYPE_INVALID", wire.Invalid, noRung},
	0x013: {"CKR_ATTRIBUTE_VALUE_INVALID", wire.Invalid, noRung},
	0x01B: {"CKR_ACTION_PROHIBITED", wire.Invalid, noRung},
	0x020: {"CKR_DATA_INVALID", wire.Internal, noRung},
	0x021: {"CKR_DATA_LEN_RANGE", wire.Internal, noRung},
	0x030: {"CKR_DEVICE_ERROR", wire.Unavailable, freshSessions},
	0x031: {"CKR_DEVICE_MEMORY", wire.Unavailable, otherSession},
	0x032: {"CKR_DEVICE_REMOVED", wire.Unavailable, otherLogin},
	0x040: {"CKR_ENCRYPTED_DATA_INVALID", wire.Internal, noRung},
	0x041: {"CKR_ENCRYPTED_DATA_LEN_RANGE", wire.Internal, noRung},
	0x042: {"CKR_AEAD_DECRYPT_FAILED", wire.Internal, noRung},
	0x050: {"CKR_FUNCTION_CANCELED", wire.Unavailable, otherSession},
	0x051: {"CKR_FUNCTION_NOT_PARALLEL", wire.Internal, noRung},
	0x054: {"CKR_FUNCTION_NOT_SUPPORTED", wire.Invalid, noRung},
	0x060: {"CKR_KEY_HANDLE_INVALID", wire.Unavailable, otherHandle},
	0x062: {"CKR_KEY_SIZE_RANGE", wire.Invalid, noRung},
	0x063: {"CKR_KEY_TYPE_INCONSISTENT", wire.Invalid, noRung},
	0x064: {"CKR_KEY_NOT_NEEDED", wire.Internal, noRung},
	0x065: {"CKR_KEY_CHANGED", wire.Internal, noRung},
	0x066: {"CKR_KEY_NEEDED", wire.Internal, noRung},
	0x067: {"CKR_KEY_INDIGESTIBLE", wire.Internal, noRung},
	0x068: {"CKR_KEY_FUNCTION_NOT_PERMITTED", wire.Invalid, noRung},
	0x069: {"CKR_KEY_NOT_WRAPPABLE", wire.Internal, noRung},
	0x06A: {"CKR_KEY_UNEXTRACTABLE", wire.Internal, noRung},
	0x070: {"CKR_MECHANISM_INVALID", wire.Invalid, noRung},
	0x071: {"CKR_MECHANISM_PARAM_INVALID", wire.Invalid, noRung},
	0x082: {"CKR_OBJECT_HANDLE_INVALID", wire.Unavailable, otherHandle},
	0x090: {"CKR_OPERATION_ACTIVE", wire.Unavailable, otherSession},
	0x091: {"CKR_OPERATION_NOT_INITIALIZED", wire.Unavailable, otherSession},
	0x0A0: {"CKR_PIN_INCORRECT", wire.LoginRefused, noRung},
	0x0A1: {"CKR_PIN_INVALID", wire.LoginRefused, noRung},
	0x0A2: {"CKR_PIN_LEN_RANGE", wire.LoginRefused, noRung},
	0x0A3: {"CKR_PIN_EXPIRED", wire.LoginRefused, noRung},
	0x0A4: {"CKR_PIN_LOCKED", wire.LoginRefused, noRung},
	0x0B0: {"CKR_SESSION_CLOSED", wire.Unavailable, freshSessions},
	0x0B1: {"CKR_SESSION_COUNT", wire.Busy, noRung},
	0x0B3: {"CKR_SESSION_HANDLE_INVALID", wire.Unavailable, freshSessions},
	0x0B4: {"CKR_SESSION_PARALLEL_NOT_SUPPORTED", wire.Internal, noRung},
	0x0B5: {"CKR_SESSION_READ_ONLY", wire.Internal, noRung},
	0x0B6: {"CKR_SESSION_EXISTS", wire.Internal, noRung},
	0x0B7: {"CKR_SESSION_READ_ONLY_EXISTS", wire.Internal, noRung},
	0x0B8: {"CKR_SESSION_READ_WRITE_SO_EXISTS", wire.Unavailable, noRung},
	0x0C0: {"CKR_SIGNATURE_INVALID", wire.Internal, noRung},
	0x0C1: {"CKR_SIGNATURE_LEN_RANGE", wire.Internal, noRung},
	0x0D0: {"CKR_TEMPLATE_INCOMPLETE", wire.Invalid, noRung},
	0x0D1: {"CKR_TEMPLATE_INCONSISTENT", wire.Invalid, noRung},
	0x0E0: {"CKR_TOKEN_NOT_PRESENT", wire.Unavailable, otherLogin},
	0x0E1: {"CKR_TOKEN_NOT_RECOGNIZED", wire.Unavailable, otherLogin},
	0x0E2: {"CKR_TOKEN_WRITE_PROTECTED", wire.Invalid, noRung},
	0x0F0: {"CKR_UNWRAPPING_KEY_HANDLE_INVALID", wire.Internal, noRung},
	0x0F1: {"CKR_UNWRAPPING_KEY_SIZE_RANGE", wire.Internal, noRung},
	0x0F2: {"CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT", wire.Internal, noRung},
	0x100: {"CKR_USER_ALREADY_LOGGED_IN", wire.Internal, noRung},
	0x101: {"CKR_USER_NOT_LOGGED_IN", wire.Unavailable, otherLogin},
	0x102: {"CKR_USER_PIN_NOT_INITIALIZED", wire.LoginRefused, noRung},
	0x103: {"CKR_USER_TYPE_INVALID", wire.Invalid, noRung},
	0x104: {"CKR_USER_ANOTHER_ALREADY_LOGGED_IN", wire.Unavailable, noRung},
	0x105: {"CKR_USER_TOO_MANY_TYPES", wire.Unavailable, noRung},
	0x110: {"CKR_WRAPPED_KEY_INVALID", wire.Internal, noRung},
	0x112: {"CKR_WRAPPED_KEY_LEN_RANGE", wire.Internal, noRung},
	0x113: {"CKR_WRAPPING_KEY_HANDLE_INVALID", wire.Internal, noRung},
	0x114: {"CKR_WRAPPING_KEY_SIZE_RANGE", wire.Internal, noRung},
	0x115: {"CKR_WRAPPING_KEY_TYPE_INCONSISTENT", wire.Internal, noRung},
	0x120: {"CKR_RANDOM_SEED_NOT_SUPPORTED", wire.Internal, noRung},
	0x121: {"CKR_RANDOM_NO_RNG", wire.Invalid, noRung},
	0x130: {"CKR_DOMAIN_PARAMS_INVALID", wire.Invalid, noRung},
	0x140: {"CKR_CURVE_NOT_SUPPORTED", wire.Invalid, noRung},
	0x150: {"CKR_BUFFER_TOO_SMALL", wire.Internal, noRung},
	0x160: {"CKR_SAVED_STATE_INVALID", wire.Internal, noRung},
	0x170: {"CKR_INFORMATION_SENSITIVE", wire.Internal, noRung},
	0x180: {"CKR_STATE_UNSAVEABLE", wire.Internal, noRung},
	0x190: {"CKR_CRYPTOKI_NOT_INITIALIZED", wire.Unavailable, noRung},
	0x191: {"CKR_CRYPTOKI_ALREADY_INITIALIZED", wire.Internal, noRung},
	0x1A0: {"CKR_MUTEX_BAD", wire.Internal, noRung},
	0x1A1: {"CKR_MUTEX_NOT_LOCKED", wire.Internal, noRung},
	0x1B0: {"CKR_NEW_PIN_MODE", wire.Internal, noRung},
	0x1B1: {"CKR_NEXT_OTP", wire.Internal, noRung},
	0x1B5: {"CKR_EXCEEDED_MAX_ITERATIONS", wire.Internal, noRung},
	0x1B6: {"CKR_FIPS_SELF_TEST_FAILED", wire.Unavailable, noRung},
	0x1B7: {"CKR_LIBRARY_LOAD_FAILED", wire.Unavailable, noRung},
	0x1B8: {"CKR_PIN_TOO_WEAK", wire.LoginRefused, noRung},
	0x1B9: {"CKR_PUBLIC_KEY_INVALID", wire.Internal, noRung},
	0x200: {"CKR_FUNCTION_REJECTED", wire.Unavailable, noRung},
	0x201: {"CKR_TOKEN_RESOURCE_EXCEEDED", wire.Busy, noRung},
	0x202: {"CKR_OPERATION_CANCEL_FAILED", wire.Unavailable, otherSession},
	0x203: {"CKR_KEY_EXHAUSTED", wire.Invalid, noRung},
	0x204: {"CKR_PENDING", wire.Internal, noRung},
	0x205: {"CKR_SESSION_ASYNC_NOT_SUPPORTED", wire.Internal, noRung},
	0x206: {"CKR_SEED_RANDOM_REQUIRED", wire.Invalid, noRung},
	0x207: {"CKR_OPERATION_NOT_VALIDATED", wire.Invalid, noRung},
	0x208: {"CKR_TOKEN_NOT_INITIALIZED", wire.Invalid, noRung},
	0x209: {"CKR_PARAMETER_SET_NOT_SUPPORTED", wire.Invalid, noRung},
}

// meaning is a code's row. A vendor's own code is mostly about its network:
// away. One that nobody knows is a fault.
func meaning(ckr p11.Error) code {
	if row, ok := codes[ckr]; ok {
		return row
	}
	if ckr >= p11.CKR_VENDOR_DEFINED {
		return code{"", wire.Unavailable, otherSession}
	}
	return code{"", wire.Internal, noRung}
}
