//go:build cgo

package pkcs11

import (
	"bytes"
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

// mayTry applies what is remembered, and what the token says of itself, before
// it is shown a PIN.
func (s *Service) mayTry(t *token, k *key, mark []byte) error {
	if reason := s.remembered(t, k, mark); reason != "" {
		return k.loginRefused("%s", reason)
	}
	info, err := t.module.GetTokenInfo(t.slot)
	if err != nil {
		return t.module.failure("C_GetTokenInfo", t.String(), err)
	}
	switch {
	case info.Flags&p11.CKF_USER_PIN_LOCKED != 0:
		return k.loginRefused("the PIN of token %s is locked (CKF_USER_PIN_LOCKED); its security officer must unlock it", t)
	case info.Flags&p11.CKF_USER_PIN_FINAL_TRY != 0:
		return k.loginRefused("token %s has one try left (CKF_USER_PIN_FINAL_TRY), which is not taken; log in once by hand with the right PIN", t)
	}
	t.counted.Store(uint64(info.Flags & countsTries))
	return nil
}

// countsTries are the flags by which a token tells of wrong PINs.
const countsTries = p11.CKF_USER_PIN_COUNT_LOW | p11.CKF_USER_PIN_FINAL_TRY | p11.CKF_USER_PIN_LOCKED

// hasCounted reports whether the token says of more wrong PINs than before the
// last try. Vendors have codes of their own for a PIN that is wrong, which could
// be of a network that is down.
func (t *token) hasCounted() bool {
	info, err := t.module.GetTokenInfo(t.slot)
	return err == nil && uint64(info.Flags&countsTries)&^t.counted.Load() != 0
}

// remembered gives the reason why a PIN is not to be tried, or "".
func (s *Service) remembered(t *token, k *key, mark []byte) string {
	if k.definition.PKCS11.PIN == "" && k.definition.PKCS11.Login != loginNone {
		return "its definition has no PIN"
	}
	s.mu.Lock()
	refusals := append(append([]wire.Refusal(nil), k.worker.Refusals...), s.refusals...)
	here := s.refused[string(mark)]
	s.mu.Unlock()
	mac := s.pinMAC(k, t.serial)
	overWire := map[string]bool{} // hsmd's list and ours may both have one
	for _, r := range refusals {
		here = here || bytes.Equal(r.MAC, mac)
		if r.FromWire && r.TokenSerial == t.serial && time.Since(time.Unix(r.At, 0)) < wireRefusalWindow {
			overWire[string(r.MAC)] = true
		}
	}
	switch {
	case here && k.definition.PKCS11.Login == loginNone:
		return "the login at the pad of token " + t.String() + " was refused; it is asked for again when hsmd is restarted"
	case here:
		return "token " + t.String() + " has refused this PIN before; it is not tried again until the PIN in the definition changes"
	case k.worker.FromWire && len(overWire) >= wireRefusals:
		return "token " + t.String() + " has refused two PINs that came over the wire in the last 24 hours; define the key in hsmd's configuration"
	}
	return ""
}

// fingerprint tells the logins to a token apart inside this process, whichever
// stanza they came with: by user and PIN.
func (s *Service) fingerprint(serial string, d *wire.PKCS11Definition) []byte {
	h := hmac.New(sha256.New, s.ownKey)
	h.Write([]byte(serial + "\x00" + loginText(d)))
	return h.Sum(nil)
}

// loginText is a PIN, marked where it is not the normal user's.
func loginText(d *wire.PKCS11Definition) string {
	if d.Login == loginCryptoUser || d.Login == loginNone {
		return d.PIN + "\x00" + d.Login
	}
	return d.PIN
}

// notIn is the failure of a login. A PIN that was refused is remembered. What
// somebody typed at a pad is remembered in this process alone, for no definition
// can change it.
func (s *Service) notIn(t *token, k *key, mark []byte, call string, err error) error {
	failure := t.module.failure(call, t.String(), err)
	if failure.Code != wire.LoginRefused && !t.hasCounted() || isCKR(err, p11.CKR_USER_PIN_NOT_INITIALIZED) {
		return failure
	}
	s.mu.Lock()
	s.refused[string(mark)] = true
	if k.definition.PKCS11.Login != loginNone {
		s.refusals = append(s.refusals, wire.Refusal{MAC: s.pinMAC(k, t.serial), TokenSerial: t.serial, At: time.Now().Unix(), FromWire: k.worker.FromWire})
	}
	s.mu.Unlock()
	return k.loginRefused("the token refused the PIN, which is not tried again: %s", failure.Message)
}

// pinMAC names a PIN without telling it.
func (s *Service) pinMAC(k *key, serial string) []byte {
	refusalKey := k.worker.RefusalKey
	if len(refusalKey) == 0 {
		refusalKey = s.ownKey
	}
	h := hmac.New(sha256.New, refusalKey)
	h.Write([]byte(k.worker.Library + "\x00" + serial + "\x00" + loginText(k.definition.PKCS11)))
	return h.Sum(nil)
}
