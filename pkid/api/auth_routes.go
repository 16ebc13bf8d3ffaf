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
	var name string
	var gone bool
	var err error
	switch m.Type {
	case "approle":
		name = t.Meta["role_name"]
		role, failed := m.AppRole.Role(r.ctx, name)
		gone, err = role == nil, failed
	case "jwt", "kubernetes":
		name = t.Meta["role"]
		role, failed := m.JWT.Role(r.ctx, name)
		gone, err = role == nil, failed
	case "cert":
		err := m.Cert.Renew(r.ctx, t, listen.IdentityOf(r.ctx).Certificates, addressOf(r.who.remote))
		if refused, is := errors.AsType[*cert.Refusal](err); is {
			_, err = h.refuseLogin(r, "the certificate that the token was made for is not shown, or would not be let in any more", refused)
		}
		return err
	}
	if err == nil && gone {
		err = vaultapi.BadRequest("role %q does not exist during renewal", name)
	}
	return err
}
