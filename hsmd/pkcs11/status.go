//go:build cgo

package pkcs11

import (
	"context"
	"encoding/hex"
	"os"
	"strings"

	p11 "github.com/miekg/pkcs11"

	"github.com/hsmpki/hsmpki/wire"
)

// maxListed bounds the keys of a token that a status names.
const maxListed = 1000

// Status implements [wire.Service]. Tokens are shown without a login; keys
// where there is one already.
func (s *Service) Status(ctx context.Context, _ *wire.StatusRequest) (*wire.StatusResponse, error) {
	s.mu.Lock()
	library := wire.LibraryStatus{Path: s.library.Library, PID: os.Getpid()}
	response := &wire.StatusResponse{Started: s.started.Unix(), Refused: append([]wire.Refusal(nil), s.refusals...)}
	s.mu.Unlock()
	tokens, err := s.shown(ctx)
	if err != nil {
		library.Fault = wire.FaultOf(err)
	}
	for _, t := range tokens {
		library.Tokens = append(library.Tokens, t.status(ctx))
	}
	response.Libraries = []wire.LibraryStatus{library}
	return response, nil
}

func (s *Service) shown(ctx context.Context) ([]*token, error) {
	m, err := s.load(ctx)
	if err != nil {
		return nil, err
	}
	return s.tokens(m)
}

var shownFlags = []struct {
	bit  uint
	name string
}{
	{p11.CKF_LOGIN_REQUIRED, "login_required"},
	{p11.CKF_WRITE_PROTECTED, "write_protected"},
	{p11.CKF_USER_PIN_COUNT_LOW, "user_pin_count_low"},
	{p11.CKF_USER_PIN_FINAL_TRY, "user_pin_final_try"},
	{p11.CKF_USER_PIN_LOCKED, "user_pin_locked"},
	{p11.CKF_USER_PIN_TO_BE_CHANGED, "user_pin_to_be_changed"},
	{p11.CKF_PROTECTED_AUTHENTICATION_PATH, "protected_authentication_path"},
}

func (t *token) status(ctx context.Context) wire.TokenStatus {
	loggedIn, _ := t.state()
	out := wire.TokenStatus{Slot: uint64(t.slot), Label: text(t.label), Serial: text(t.serial), LoggedIn: loggedIn, Sessions: t.sessions.count()}
	// The flags change with each refused PIN; what tokens found is old.
	if info, err := t.module.GetTokenInfo(t.slot); err == nil {
		out.Model = text(trim(info.Model))
		for _, f := range shownFlags {
			if info.Flags&f.bit != 0 {
				out.Flags = append(out.Flags, f.name)
			}
		}
	}
	if out.LoggedIn {
		_ = t.sessions.use(ctx, func(session p11.SessionHandle) error {
			var err error
			out.Keys, err = t.privateKeys(session)
			return err
		})
	}
	return out
}

// text makes what a library gives as text fit to be sent: others may have written
// labels in another encoding, and one of them must not cost the whole answer.
func text(s string) string { return strings.ToValidUTF8(s, "\ufffd") }

// privateKeys names the private keys by label, or by id where they have none. A
// key that cannot be read does not hide the others.
func (t *token) privateKeys(session p11.SessionHandle) ([]string, error) {
	handles, err := t.objects(session, p11.CKO_PRIVATE_KEY, nil, maxListed)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, handle := range handles {
		label, err := t.attribute(session, handle, p11.CKA_LABEL)
		name := text(string(label))
		if err != nil {
			name = "(unreadable)"
		} else if name == "" {
			id, _ := t.attribute(session, handle, p11.CKA_ID)
			name = hex.EncodeToString(id)
		}
		out = append(out, name)
	}
	return out, nil
}
