//go:build cgo

package pkcs11_test

import (
	"fmt"
	"strings"
	"testing"

	p11 "github.com/miekg/pkcs11"

	"github.com/hsmpki/hsmpki/hsmd/pkcs11"
	"github.com/hsmpki/hsmpki/wire"
)

// TestEveryCode: what miekg/pkcs11 has a name for has a row, of that name; and so
// have the codes that came after it.
func TestEveryCode(t *testing.T) {
	for ckr := range uint(0x1000) {
		name, class, _ := pkcs11.Meaning(ckr)
		if !class.Known() {
			t.Errorf("%s has no class", name)
		}
		parts := strings.SplitN(p11.Error(ckr).Error(), ": ", 3)
		if known := parts[len(parts)-1]; ckr != 0 && strings.HasPrefix(known, "CKR_") && name != fmt.Sprintf("%s 0x%08X", known, ckr) {
			t.Errorf("0x%X is %s, not %s", ckr, known, name)
		}
	}
	for ckr, want := range map[uint]string{0x201: "CKR_TOKEN_RESOURCE_EXCEEDED 0x00000201", 0x203: "CKR_KEY_EXHAUSTED 0x00000203",
		0x209: "CKR_PARAMETER_SET_NOT_SUPPORTED 0x00000209", 0x80000384: "CKR 0x80000384", 0xFFF: "CKR 0x00000FFF"} {
		if name, _, _ := pkcs11.Meaning(ckr); name != want {
			t.Errorf("0x%X is %s, want %s", ckr, name, want)
		}
	}
}

// TestClassOfACode: a sample of each class. A PIN is never shown twice for one
// of them, whatever class it has: nothing of a refused login helps.
func TestClassOfACode(t *testing.T) {
	for _, c := range []struct {
		ckr   uint
		class wire.Code
		helps bool
	}{
		{0x30, wire.Unavailable, true}, {0x32, wire.Unavailable, true}, {0xB3, wire.Unavailable, true}, {0x60, wire.Unavailable, true},
		{0x82, wire.Unavailable, true}, {0x101, wire.Unavailable, true}, {0x90, wire.Unavailable, true}, {0x80000384, wire.Unavailable, true},
		{0x190, wire.Unavailable, false}, {0xB1, wire.Busy, false}, {0x70, wire.Invalid, false}, {0x7, wire.Internal, false},
		{0xA0, wire.LoginRefused, false}, {0xA1, wire.LoginRefused, false}, {0xA2, wire.LoginRefused, false}, {0xA3, wire.LoginRefused, false},
		{0xA4, wire.LoginRefused, false}, {0x102, wire.LoginRefused, false}, {0x9999, wire.Internal, false},
	} {
		if name, class, helps := pkcs11.Meaning(c.ckr); class != c.class || helps != c.helps {
			t.Errorf("%s: %v, helps: %t; want %v, %t", name, class, helps, c.class, c.helps)
		}
	}
}
