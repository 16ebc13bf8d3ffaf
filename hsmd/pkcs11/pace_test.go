//go:build cgo

package pkcs11_test

import (
	"slices"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/hsmd/pkcs11"
)

func TestPace(t *testing.T) {
	var set []int
	took := pkcs11.Pace(4, func(n int) { set = append(set, n) })
	calls := func(n int, d time.Duration, want ...int) {
		t.Helper()
		set = nil
		for range n {
			took(d)
		}
		if !slices.Equal(set, want) {
			t.Errorf("%d calls of %s set the processors to %v, want %v", n, d, set, want)
		}
	}
	calls(1000, 600*time.Microsecond)   // all are in use from the start
	calls(1000, 50*time.Microsecond, 1) // short ones, one at a time
	calls(1, time.Minute)               // one that was interrupted changes nothing
	calls(1000, 200*time.Microsecond)   // between the bounds all stays as it is
	calls(1000, 5*time.Millisecond, 4)
	calls(1000, 200*time.Microsecond)

	took = pkcs11.Pace(1, func(n int) { set = append(set, n) })
	calls(1000, 50*time.Microsecond)
}
