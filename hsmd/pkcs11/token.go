//go:build cgo

package pkcs11

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	p11 "github.com/miekg/pkcs11"

	"github.com/hsmpki/hsmpki/wire"
)

// token is one token of the library, with its login and its sessions.
type token struct {
	module *module
	slot   uint
	label  string
	serial string
	flags  atomic.Uint64 // of CK_TOKEN_INFO, as they were last seen

	sessions *pool
	making   chan struct{} // taken by whoever generates: one key at a time

	// asking is taken by whoever shows the PIN for one signature.
	asking chan struct{}

	counted atomic.Uint64 // of countsTries, before the last try of a PIN

	// signing in is one caller's at a time; the fields below are of the last.
	signing    chan struct{}
	mu         sync.Mutex
	in         bool
	withPIN    []byte // MAC of the PIN that logged in, nil for none yet
	generation int    // counts logins: a handle is good for one of them
	anchor     p11.SessionHandle
	anchored   bool
}

func (t *token) String() string {
	return fmt.Sprintf("%q (serial %s, slot %d)", t.label, t.serial, t.slot)
}

// trim takes the padding off a field: blanks by the standard, NULs in practice.
func trim(s string) string { return strings.TrimRight(s, " \x00") }

// tokens lists what the library shows. A slot whose token cannot be read does
// not hide the others.
func (s *Service) tokens(m *module) ([]*token, error) {
	slots, err := m.GetSlotList(true)
	if err != nil {
		return nil, m.failure("C_GetSlotList", "", err)
	}
	infos := map[uint]p11.TokenInfo{}
	for _, slot := range slots {
		info, err := m.GetTokenInfo(slot)
		if err == nil && info.Flags&p11.CKF_TOKEN_INITIALIZED != 0 {
			infos[slot] = info
		}
	}
	// Each signature takes the lock, so no call of the library is made under it.
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*token
	for _, slot := range slots {
		info, ok := infos[slot]
		if !ok {
			continue
		}
		label, serial := trim(info.Label), trim(info.SerialNumber)
		t := s.known[slot]
		if t == nil || t.label != label || t.serial != serial {
			t = &token{module: m, slot: slot, label: label, serial: serial,
				making: make(chan struct{}, 1), signing: make(chan struct{}, 1), asking: make(chan struct{}, 1)}
			t.sessions = newPool(t, s.maxSessions, info.MaxSessionCount)
			s.known[slot] = t
		}
		t.flags.Store(uint64(info.Flags))
		out = append(out, t)
	}
	return out, nil
}

// selectToken finds the one token that a definition selects.
func (s *Service) selectToken(m *module, d *wire.PKCS11Definition) (*token, error) {
	var all, matching []*token
	// A library has been seen to miss a token on the first look.
	for range 2 {
		var err error
		if all, err = s.tokens(m); err != nil {
			return nil, err
		}
		matching = nil
		for _, t := range all {
			if selects(d, t) {
				matching = append(matching, t)
			}
		}
		if len(matching) > 0 {
			break
		}
	}
	switch len(matching) {
	case 1:
		return matching[0], nil
	case 0:
		// A token that is away shows in no other way.
		return nil, &wire.Error{Code: wire.Unavailable, RetryAfter: time.Second,
			Message: fmt.Sprintf("library %q shows no token with %s; it shows %s", d.Library, d.Selector(), names(all))}
	}
	return nil, wire.Errorf(wire.Invalid, "more than one token of library %q has %s: %s; say which with token_serial or slot", d.Library, d.Selector(), names(matching))
}

func selects(d *wire.PKCS11Definition, t *token) bool {
	return (d.TokenLabel == "" || d.TokenLabel == t.label) &&
		(d.TokenSerial == "" || d.TokenSerial == t.serial) &&
		(d.Slot == nil || *d.Slot == uint64(t.slot)) &&
		(d.TokenLabel != "" || d.TokenSerial != "" || d.Slot != nil)
}

func names(tokens []*token) string {
	if len(tokens) == 0 {
		return "none"
	}
	var out []string
	for _, t := range tokens {
		out = append(out, t.String())
	}
	return strings.Join(out, ", ")
}
