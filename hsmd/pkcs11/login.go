//go:build cgo

package pkcs11

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"time"

	p11 "github.com/miekg/pkcs11"

	"github.com/hsmpki/hsmpki/wire"
)

// The PIN rules. A token locks itself after a few wrong PINs, so a PIN that a
// token refused is never tried again, by whomever, in this process or another:
// hsmd remembers refusals and tells them with the definition.
const (
	wireRefusals      = 2              // PINs that came over wire a token may refuse …
	wireRefusalWindow = 24 * time.Hour // … in this time; then only hsmd's HCL helps
)

// login sees to it that the token is logged in for a key's definition.
//
// Login belongs to process and token. A second one answers "already logged in"
// to any PIN, which proves nothing about it; so a definition must have the PIN
// that logged in, also after the login was lost, and is refused otherwise
// without the token being asked.
func (s *Service) login(ctx context.Context, t *token, k *key) error {
	select {
	case t.signing <- struct{}{}:
		defer func() { <-t.signing }()
	case <-ctx.Done():
		return gaveUp(ctx)
	}
	refuse := func(format string, args ...any) error {
		return wire.Errorf(wire.LoginRefused, "managed key %q: "+format, append([]any{k.definition.Name}, args...)...)
	}
	d := k.definition.PKCS11
	mark := s.fingerprint(t.serial, d.PIN)
	in, with := t.state()
	switch {
	case d.Login == "none" && with == nil:
		return nil
	case with != nil && (d.Login == "none" || !hmac.Equal(mark, with)):
		return refuse("token %s is logged in with another PIN than this definition's", t)
	case in:
		return nil
	}
	if reason := s.mayTry(t, k, mark); reason != "" {
		return refuse("%s", reason)
	}
	info, err := t.module.GetTokenInfo(t.slot)
	if err != nil {
		return t.module.failure("C_GetTokenInfo", t.String(), err)
	}
	switch {
	case info.Flags&p11.CKF_USER_PIN_LOCKED != 0:
		return refuse("the PIN of token %s is locked (CKF_USER_PIN_LOCKED); its security officer must unlock it", t)
	case info.Flags&p11.CKF_USER_PIN_FINAL_TRY != 0:
		return refuse("token %s has one try left (CKF_USER_PIN_FINAL_TRY), which is not taken; log in once by hand with the right PIN", t)
	}
	if err := s.try(ctx, t, k, mark); err != nil {
		return err
	}
	t.enter(mark)
	return nil
}

// try is the one place where a PIN is shown to a token.
func (s *Service) try(ctx context.Context, t *token, k *key, mark []byte) error {
	session, done, err := t.loginSession(ctx)
	if err != nil {
		return err
	}
	err = t.module.Login(session, p11.CKU_USER, k.definition.PKCS11.PIN)
	lost := isCKR(err, p11.CKR_SESSION_HANDLE_INVALID) || isCKR(err, p11.CKR_SESSION_CLOSED)
	done(!lost)
	if err == nil || isCKR(err, p11.CKR_USER_ALREADY_LOGGED_IN) {
		return nil
	}
	if lost {
		t.lost(t.loginGeneration())
	}
	failure := t.module.failure("C_Login", t.String(), err)
	if failure.Code == wire.LoginRefused && !isCKR(err, p11.CKR_USER_PIN_NOT_INITIALIZED) {
		s.mu.Lock()
		s.refusals = append(s.refusals, wire.Refusal{MAC: s.pinMAC(k, t.serial), TokenSerial: t.serial, At: time.Now().Unix(), FromWire: k.worker.FromWire})
		s.refused[string(mark)] = true
		s.mu.Unlock()
		failure = wire.Errorf(wire.LoginRefused, "managed key %q: the token refused the PIN, which is not tried again: %s", k.definition.Name, failure.Message)
	}
	return failure
}

// mayTry applies what is remembered before the token is asked, and gives the
// reason why not.
func (s *Service) mayTry(t *token, k *key, mark []byte) string {
	if k.definition.PKCS11.PIN == "" {
		return "its definition has no PIN"
	}
	s.mu.Lock()
	refusals := append(append([]wire.Refusal(nil), k.worker.Refusals...), s.refusals...)
	here := s.refused[string(mark)]
	s.mu.Unlock()
	mac := s.pinMAC(k, t.serial)
	overWire := map[string]bool{} // hsmd's list and ours may both have one
	for _, r := range refusals {
		if here || bytes.Equal(r.MAC, mac) {
			return "token " + t.String() + " has refused this PIN before; it is not tried again until the PIN in the definition changes"
		}
		if r.FromWire && r.TokenSerial == t.serial && time.Since(time.Unix(r.At, 0)) < wireRefusalWindow {
			overWire[string(r.MAC)] = true
		}
	}
	if k.worker.FromWire && len(overWire) >= wireRefusals {
		return "token " + t.String() + " has refused two PINs that came over the wire in the last 24 hours; define the key in hsmd's configuration"
	}
	return ""
}

// fingerprint tells the PINs of a token apart inside this process, whichever
// stanza they came with.
func (s *Service) fingerprint(serial, pin string) []byte {
	h := hmac.New(sha256.New, s.ownKey)
	h.Write([]byte(serial + "\x00" + pin))
	return h.Sum(nil)
}

// stillIn checks in a session that the token has not logged us out.
func (t *token) stillIn(session p11.SessionHandle) error {
	if _, with := t.state(); with == nil {
		return nil
	}
	info, err := t.module.GetSessionInfo(session)
	if err != nil {
		return err
	}
	if info.State == p11.CKS_RO_PUBLIC_SESSION || info.State == p11.CKS_RW_PUBLIC_SESSION {
		return p11.Error(p11.CKR_USER_NOT_LOGGED_IN)
	}
	return nil
}

// pinMAC names a PIN without telling it.
func (s *Service) pinMAC(k *key, serial string) []byte {
	refusalKey := k.worker.RefusalKey
	if len(refusalKey) == 0 {
		refusalKey = s.ownKey
	}
	h := hmac.New(sha256.New, refusalKey)
	h.Write([]byte(k.worker.Library + "\x00" + serial + "\x00" + k.definition.PKCS11.PIN))
	return h.Sum(nil)
}

// state says whether the token is logged in, and with which PIN it is, or was.
func (t *token) state() (in bool, with []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.in, t.withPIN
}

func (t *token) enter(mac []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.generation++
	t.in, t.withPIN = true, mac
}

// loginGeneration tells handles of different logins apart.
func (t *token) loginGeneration() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.generation
}

// lost notes that the token has forgotten the login of the given generation;
// the next call logs in again, with the PIN that was right before.
func (t *token) lost(generation int) {
	t.mu.Lock()
	if t.generation != generation {
		t.mu.Unlock()
		return
	}
	t.generation++
	t.in = false
	anchored, anchor := t.anchored, t.anchor
	t.anchored = false
	t.mu.Unlock()
	if anchored {
		_ = t.module.CloseSession(anchor)
	}
	t.sessions.discardIdle()
}

// loginSession gives a session to log in with. It is the anchor, which is
// opened once and keeps the login alive as long as the process runs, since a
// token logs out when its last session closes. A token with room for a single
// session has none to spare: there the pool's, which is never closed while it
// is sound, does both.
func (t *token) loginSession(ctx context.Context) (p11.SessionHandle, func(sound bool), error) {
	if t.sessions.single {
		session, err := t.sessions.take(ctx)
		return session, func(sound bool) { t.sessions.give(session, sound) }, err
	}
	t.mu.Lock()
	session, anchored := t.anchor, t.anchored
	t.mu.Unlock()
	if anchored {
		return session, func(bool) {}, nil
	}
	session, err := t.module.OpenSession(t.slot, p11.CKF_SERIAL_SESSION)
	if isCKR(err, p11.CKR_SESSION_COUNT) {
		t.sessions.discardIdle()
		session, err = t.module.OpenSession(t.slot, p11.CKF_SERIAL_SESSION)
	}
	if err != nil {
		return 0, nil, t.module.failure("C_OpenSession", t.String(), err)
	}
	t.mu.Lock()
	t.anchor, t.anchored = session, true
	t.mu.Unlock()
	return session, func(bool) {}, nil
}
