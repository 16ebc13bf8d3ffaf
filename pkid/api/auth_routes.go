package api

import (
	"errors"

	"github.com/hsmpki/hsmpki/pkid/auth/cert"
	"github.com/hsmpki/hsmpki/pkid/listen"
	"github.com/hsmpki/hsmpki/pkid/token"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// authRoutes are the paths below a way to log in, by its type, listed in the
// files that serve them.
func authRoutes() map[string][]route {
	return map[string][]route{
		"approle":    compile(approleRoutes),
		"cert":       compile(certAuthRoutes),
		"jwt":        compile(jwtRoutes),
		"kubernetes": compile(kubernetesRoutes),
	}
}

// mayRenew asks the method by which a token was logged in for whether it would
// still let its holder in.
func (h *Handler) mayRenew(r *request, t *token.Token) error {
	m := h.Auth.At(t)
	if m == nil {
		return nil
	}
	switch m.Type {
	case "approle":
		role, err := m.AppRole.Role(r.ctx, t.Meta["role_name"])
		return underRole(t.Meta["role_name"], role != nil, err)
	case "jwt", "kubernetes":
		role, err := m.JWT.Role(r.ctx, t.Meta["role"])
		return underRole(t.Meta["role"], role != nil, err)
	case "cert":
		err := m.Cert.Renew(r.ctx, t, listen.IdentityOf(r.ctx).Certificates, addressOf(r.who.remote))
		if refused, is := errors.AsType[*cert.Refusal](err); is {
			_, err = h.refuseLogin(r, "the certificate that the token was made for is not shown, or would not be let in any more", refused)
		}
		return err
	}
	return nil
}

// underRole refuses where the role is gone.
func underRole(name string, is bool, err error) error {
	if err == nil && !is {
		return vaultapi.BadRequest("role %q does not exist during renewal", name)
	}
	return err
}
