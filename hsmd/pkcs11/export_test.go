//go:build cgo

package pkcs11

import "time"

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
