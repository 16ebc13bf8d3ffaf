//go:build cgo

package pkcs11

import (
	"time"

	p11 "github.com/miekg/pkcs11"

	"github.com/hsmpki/hsmpki/wire"
)

// Pace gives what notes a call's duration, for a process of so many processors.
func Pace(all int, set func(int)) func(time.Duration) { return paceOf(all, set).took }

// Tend looks after idle sessions now.
func (s *Service) Tend() { s.tendOnce() }

// SignLimit gives the time that C_Sign has after calls that took so long.
func SignLimit(took ...time.Duration) time.Duration {
	w := &watch{}
	for _, d := range took {
		w.took(cSign, d)
	}
	return w.limit(cSign)
}

// Meaning gives what is known of a code: its name, class, and whether anything
// in this process may help.
func Meaning(ckr uint) (name string, class wire.Code, helps bool) {
	row := meaning(p11.Error(ckr))
	return ckrName(p11.Error(ckr)), row.class, row.rung != noRung
}
