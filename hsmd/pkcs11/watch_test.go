//go:build cgo

package pkcs11_test

import (
	"slices"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/hsmd/pkcs11"
)

// TestLimitOfACall: 32 calls that an HSM serves one by one, 3 s each, are not
// taken for stuck, at no moment; one that hangs beside quick ones is.
func TestLimitOfACall(t *testing.T) {
	if got := pkcs11.SignLimit(slices.Repeat([]time.Duration{2 * time.Millisecond}, 100)...); got != 10*time.Second {
		t.Errorf("beside quick calls %s", got)
	}
	took := []time.Duration{2 * time.Millisecond}
	for n := range 32 {
		// All began together, so the next to end has taken one service time more.
		next := time.Duration(n+1) * 3 * time.Second
		if limit := pkcs11.SignLimit(took...); limit < next {
			t.Errorf("call %d of 32 is given up after %s, and would take %s", n+1, limit, next)
		}
		took = append(took, next)
	}
}
