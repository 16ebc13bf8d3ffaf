//go:build cgo

package pkcs11

import (
	"context"
	"crypto/hmac"

	p11 "github.com/miekg/pkcs11"

	"github.com/hsmpki/hsmpki/wire"
)

// The words of a definition's login; "" is the normal user.
const (
	loginCryptoUser      = "crypto_user"
	loginContextSpecific = "context_specific"
	loginNone            = "none"
)

// ckuCryptoUser is Luna's user who may use keys and make none (CKU_CRYPTO_USER,
// also CKU_LIMITED_USER).
const ckuCryptoUser = 0x80000001

func userType(d *wire.PKCS11Definition) uint {
	if d.Login == loginCryptoUser {
		return ckuCryptoUser
	}
	return p11.CKU_USER
}

// login sees to it that the token is logged in for a key's definition.
//
// Login belongs to process and token. A second one answers "already logged in"
// to any PIN, which proves nothing about it; so a definition must have the user
// and the PIN that logged in, also after the login was lost, and is refused
// otherwise without the token being asked.
func (s *Service) login(ctx context.Context, t *token, k *key) error {
	select {
	case t.signing <- struct{}{}:
		defer func() { <-t.signing }()
	case <-ctx.Done():
		return gaveUp(ctx)
	}
	d := k.definition.PKCS11
	in, with := t.state()
	if d.Login == loginNone && !t.hasPad() {
		if with != nil {
			return k.loginRefused("token %s is logged in with a PIN, and this definition has none", t)
		}
		return nil
	}
	mark := s.fingerprint(t.serial, d)
	switch {
	case with != nil && !hmac.Equal(mark, with):
		return k.loginRefused("token %s is logged in with another PIN, or as another user, than this definition's", t)
	case in:
		return nil
	}
	if err := s.mayTry(t, k, mark); err != nil {
		return err
	}
	if err := s.try(ctx, t, k, mark); err != nil {
		return err
	}
	t.enter(mark)
	return nil
}

// hasPad tells a token that asks for the PIN itself and wants a login.
func (t *token) hasPad() bool {
	const both = p11.CKF_PROTECTED_AUTHENTICATION_PATH | p11.CKF_LOGIN_REQUIRED
	return t.flags.Load()&both == both
}

func (k *key) loginRefused(format string, args ...any) error {
	return wire.Errorf(wire.LoginRefused, "managed key %q: "+format, append([]any{k.definition.Name}, args...)...)
}

// try shows the token a PIN, for the login that lasts. A token with a pad is
// shown none, and not even that where it is logged in already.
func (s *Service) try(ctx context.Context, t *token, k *key, mark []byte) error {
	session, done, err := t.loginSession(ctx)
	if err != nil {
		return t.module.failure("C_OpenSession", t.String(), err)
	}
	d := k.definition.PKCS11
	if d.Login == loginNone {
		err = t.stillIn(session)
	}
	if d.Login != loginNone || isCKR(err, p11.CKR_USER_NOT_LOGGED_IN) {
		err = t.module.login(session, userType(d), d.PIN)
	}
	lost := isCKR(err, p11.CKR_SESSION_HANDLE_INVALID) || isCKR(err, p11.CKR_SESSION_CLOSED)
	done(!lost)
	if err == nil || isCKR(err, p11.CKR_USER_ALREADY_LOGGED_IN) {
		return nil
	}
	if lost {
		t.lost(t.loginGeneration())
	}
	return s.notIn(t, k, mark, "C_Login", err)
}

// wantsPIN shows the token the PIN once more, for the one signature that has
// begun in the session (CKU_CONTEXT_SPECIFIC). Whoever calls it has begun a
// login: of many signatures at once, one finds out that a PIN is wrong.
func (s *Service) wantsPIN(session p11.SessionHandle, t *token, k *key) error {
	d := k.definition.PKCS11
	mark := s.fingerprint(t.serial, d)
	if err := s.mayTry(t, k, mark); err != nil {
		return err
	}
	if err := t.module.login(session, p11.CKU_CONTEXT_SPECIFIC, d.PIN); err != nil {
		return s.notIn(t, k, mark, "C_Login for one signature", err)
	}
	return nil
}

// stillIn checks in a session that the token has not logged us out.
func (t *token) stillIn(session p11.SessionHandle) error {
	info, err := t.module.GetSessionInfo(session)
	if err != nil {
		return err
	}
	if info.State == p11.CKS_RO_PUBLIC_SESSION || info.State == p11.CKS_RW_PUBLIC_SESSION {
		return p11.Error(p11.CKR_USER_NOT_LOGGED_IN)
	}
	return nil
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
