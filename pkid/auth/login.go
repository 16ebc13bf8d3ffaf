package auth

import (
	"context"
	"strings"
	"time"

	"github.com/hsmpki/hsmpki/pkid/token"
)

// Login makes the token of whoever has logged in by a method, which gives its
// policies, metadata, alias and name. The mount adds where it was, and its TTLs. The
// caller is between [Mount.Enter] and [Mount.Leave], so that a mount that is
// disabled meanwhile finds the token and revokes it.
func (t *Table) Login(ctx context.Context, m *Mount, spec token.Spec) (*token.Token, error) {
	spec.Path = "auth/" + m.Path + "login"
	at := strings.ReplaceAll(strings.TrimSuffix(m.Path, "/"), "/", "-")
	spec.DisplayName = strings.TrimSuffix(at+"-"+spec.DisplayName, "-")
	if spec.TTL == 0 && spec.Period == 0 {
		spec.TTL = m.Config.DefaultLeaseTTL
	}
	if spec.Alias != nil {
		spec.Alias.Accessor = m.Accessor
	}
	spec.MaxTTL = shorter(spec.MaxTTL, m.Config.MaxLeaseTTL)
	return t.cfg.Tokens.Create(ctx, spec)
}

// At gives the mount where a token was made by logging in, nil if there is none.
func (t *Table) At(tok *token.Token) *Mount {
	path, found := strings.CutPrefix(tok.Path, "auth/")
	if !found {
		return nil
	}
	m, _ := t.Find(path)
	return m
}

// shorter is the shorter of two spans, of which 0 is none.
func shorter(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}
