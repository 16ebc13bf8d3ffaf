//go:build cgo

package pkcs11

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/miekg/pkcs11"

	"github.com/hsmpki/hsmpki/wire"
)

// Bounds on tries with PINs that came over wire: so many may be refused on one
// token within refusalWindow, then none is tried.
const (
	maxWireRefusals = 2
	refusalWindow   = 24 * time.Hour
)

// loginState is what a token knows of its login. The credential stays when the
// login is lost: only the PIN that logged in may do so again, because a token
// that somebody else is logged in to takes any.
type loginState struct {
	credential []byte // fingerprint of the PIN; empty: none needed one so far
	in         bool
	epoch      uint64 // counts logins; object handles are of one epoch
	locked     bool   // the token has said that its PIN is locked
	notBefore  time.Time
}

// enter logs in to the token with the definition's PIN, once for all callers,
// and gives the epoch of that login. A PIN that a token refused is never shown
// to it again.
func (s *Service) enter(ctx context.Context, t *token, k *key) (epoch uint64, err error) {
	err = alone(ctx, t.login, "the login to token "+t.label, func() error {
		epoch, err = s.enterAlone(ctx, t, k)
		return err
	})
	return epoch, err
}

func (s *Service) enterAlone(ctx context.Context, t *token, k *key) (uint64, error) {
	d := k.definition.PKCS11
	now := t.loginState()
	var credential []byte
	if d.PIN != "" {
		credential = s.fingerprint(t, d.PIN)
	}
	if len(now.credential) > 0 && !hmac.Equal(now.credential, credential) {
		return 0, refused(k, t, "it is logged in with another PIN, or with none where this definition has one; if the PIN was changed, a reload of hsmd's configuration logs in anew")
	}
	if now.in && (len(credential) == 0 || len(now.credential) > 0) {
		return now.epoch, nil
	}
	info, err := t.module.ctx.GetTokenInfo(t.slot)
	if err != nil {
		return 0, t.module.explain(failed("C_GetTokenInfo", err), t.label)
	}
	if d.PIN == "" {
		if d.Login != "none" && info.Flags&pkcs11.CKF_LOGIN_REQUIRED != 0 {
			return 0, refused(k, t, `it needs a PIN and the definition has none (login = "none" if it is logged in by other means)`)
		}
		return t.loggedIn(nil), nil
	}
	if err := s.mayTry(t, k, now, info.Flags); err != nil {
		return 0, err
	}
	err = t.pool.with(ctx, false, func(session pkcs11.SessionHandle) error {
		err := t.module.login(session, d.PIN)
		if code(err) == pkcs11.CKR_USER_ALREADY_LOGGED_IN {
			return nil // it belongs to process and token, not to the session
		}
		return err
	})
	if err != nil {
		return 0, s.loginFailed(t, k, err)
	}
	s.log.Info("logged in", "token", t.label, "serial", t.serial, "slot", t.slot)
	return t.loggedIn(credential), nil
}

// mayTry says no where a try would be one too many.
func (s *Service) mayTry(t *token, k *key, now loginState, flags uint) error {
	d := k.definition.PKCS11
	switch {
	case now.locked || flags&pkcs11.CKF_USER_PIN_LOCKED != 0:
		return refused(k, t, "its PIN is locked; the security officer has to unlock it")
	case s.refusals.has(s.fingerprint(t, d.PIN)) || s.refusals.has(refusalMAC(&k.worker, t.serial, d.PIN)):
		return refused(k, t, "it refused this PIN before; it is not tried again until it is changed in the definition")
	case k.worker.FromWire && s.refusals.fromWire(t.serial, s.now().Add(-refusalWindow)) >= maxWireRefusals:
		return refused(k, t, "two PINs that came over wire were refused within 24 hours; no third is tried. A key in hsmd's own configuration still can")
	case flags&pkcs11.CKF_USER_PIN_FINAL_TRY != 0:
		return refused(k, t, "one more wrong PIN would lock it, so none is tried; log in with the vendor's tool first")
	case s.now().Before(now.notBefore):
		e := wire.Errorf(wire.Unavailable, "token %q: the login failed a moment ago", t.label)
		e.RetryAfter = now.notBefore.Sub(s.now())
		return e
	}
	return nil
}

// loginFailed remembers what must not be tried again.
func (s *Service) loginFailed(t *token, k *key, err error) error {
	ck, ok := errors.AsType[*ckError](err)
	if !ok || ck.call != "C_Login" {
		return t.module.explain(err, t.label) // it did not come to a try
	}
	t.mu.Lock()
	t.state.notBefore = s.now().Add(retryDevice)
	t.state.locked = t.state.locked || ck.rv == pkcs11.CKR_PIN_LOCKED
	t.mu.Unlock()
	if classOf(ck.rv) != classPIN {
		return t.module.explain(err, t.label)
	}
	if ck.rv != pkcs11.CKR_USER_PIN_NOT_INITIALIZED {
		d := k.definition.PKCS11
		s.refusals.add(s.fingerprint(t, d.PIN), wire.Refusal{
			MAC: refusalMAC(&k.worker, t.serial, d.PIN), TokenSerial: t.serial, At: s.now().Unix(), FromWire: k.worker.FromWire,
		})
	}
	s.log.Error("the token refused the PIN; it is not tried again", "key", k.name, "token", t.label, "serial", t.serial, "code", ck.Error())
	e := wire.AsError(t.module.explain(err, t.label))
	e.Message = "managed key " + k.name + ": the PIN was refused: " + e.Message
	return e
}

// refused is a login that was not tried.
func refused(k *key, t *token, why string) error {
	return wire.Errorf(wire.LoginRefused, "managed key %s: the PIN was not shown to token %q (serial number %q): %s", k.name, t.label, t.serial, why)
}

// fingerprint tells PINs of one token apart inside this process. It is of no
// use outside: its key dies with the process.
func (s *Service) fingerprint(t *token, pin string) []byte {
	return mac(s.secret, []string{t.serial, pin})
}

// refusalMAC is what hsmd remembers of a refused PIN: an HMAC-SHA-256 over
// library path, NUL, token serial number, NUL, PIN.
func refusalMAC(w *wire.WorkerConfig, serial, pin string) []byte {
	return mac(w.RefusalKey, []string{w.Library, serial, pin})
}

func mac(secret []byte, parts []string) []byte {
	h := hmac.New(sha256.New, secret)
	for i, part := range parts {
		if i > 0 {
			h.Write([]byte{0})
		}
		h.Write([]byte(part))
	}
	return h.Sum(nil)
}

func (t *token) loginState() loginState {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.state
}

// loggedIn begins an epoch.
func (t *token) loggedIn(credential []byte) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.state.in, t.state.credential, t.state.notBefore = true, credential, time.Time{}
	t.state.epoch++
	return t.state.epoch
}

// loggedOut ends an epoch, unless another has begun.
func (t *token) loggedOut(epoch uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state.epoch == epoch {
		t.state.in = false
	}
}

// errLoginLost says that the token has logged us out.
var errLoginLost = errors.New("the login was lost")

// stillIn checks in a session that the login is there, because a token that is
// logged out hides its private keys as if they did not exist.
func (t *token) stillIn(session pkcs11.SessionHandle) error {
	if len(t.loginState().credential) == 0 {
		return nil
	}
	info, err := t.module.ctx.GetSessionInfo(session)
	if err != nil {
		return failed("C_GetSessionInfo", err)
	}
	if info.State == pkcs11.CKS_RO_PUBLIC_SESSION || info.State == pkcs11.CKS_RW_PUBLIC_SESSION {
		return errLoginLost
	}
	return nil
}
