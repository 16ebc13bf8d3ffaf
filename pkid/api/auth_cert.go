package api

import (
	"errors"
	"strings"

	"github.com/hsmpki/hsmpki/pkid/auth/cert"
	"github.com/hsmpki/hsmpki/pkid/listen"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

var certAuthRoutes = []route{
	{pattern: "login", help: "Logs in by the certificate that was shown in TLS.", stranger: true, ops: one(update, certLogin)},
	{pattern: "certs", help: "Lists the roles.", ops: one(list, certRoles)},
	{pattern: "certs/:name", help: "A role: which CAs or certificates are trusted, for whom, and what they give.",
		ops: map[operation]handlerFunc{read: certReadRole, update: certWriteRole, delete: certDeleteRole}},
	{pattern: "crls", help: "Lists the CRLs.", ops: one(list, certCRLs)},
	{pattern: "crls/:name", help: "A CRL of a CA that is trusted.",
		ops: map[operation]handlerFunc{read: certReadCRL, update: certWriteCRL, delete: certDeleteCRL}},
	{pattern: "config", help: "The configuration.", ops: both(read, certReadConfig, update, certWriteConfig)},
}

// certLogin says the same of whatever is wrong with the certificate.
func certLogin(h *Handler, r *request) (*answer, error) {
	name := strings.ToLower(r.params.String("name"))
	if err := r.params.Err(); err != nil {
		return nil, err
	}
	spec, err := r.login.Cert.Login(r.ctx, name, listen.IdentityOf(r.ctx).Certificates, addressOf(r.who.remote))
	if refused, is := errors.AsType[*cert.Refusal](err); is {
		return h.refuseLogin(r, "invalid certificate or no client certificate supplied", refused)
	}
	if err != nil {
		return nil, err
	}
	return h.logIn(r, spec)
}

func certRoles(_ *Handler, r *request) (*answer, error) { return keys(r.login.Cert.Roles(r.ctx)) }

// lowerName is the name in the path: names are of small letters.
func lowerName(r *request) string { return strings.ToLower(r.vars["name"]) }

func certReadRole(_ *Handler, r *request) (*answer, error) {
	role, err := r.login.Cert.Role(r.ctx, lowerName(r))
	if err != nil {
		return nil, err
	}
	if role == nil {
		return nil, vaultapi.NotFound()
	}
	return &answer{data: role.Show()}, nil
}

func certWriteRole(_ *Handler, r *request) (*answer, error) {
	return nil, r.login.Cert.WriteRole(r.ctx, lowerName(r), r.params)
}

func certDeleteRole(_ *Handler, r *request) (*answer, error) {
	return nil, r.login.Cert.DeleteRole(r.ctx, lowerName(r))
}

func certCRLs(_ *Handler, r *request) (*answer, error) { return keys(r.login.Cert.CRLs(r.ctx)) }

func certReadCRL(_ *Handler, r *request) (*answer, error) {
	data, err := r.login.Cert.ShowCRL(r.ctx, lowerName(r))
	if err != nil {
		return nil, err
	}
	if data == nil {
		return nil, vaultapi.NotFound()
	}
	return &answer{data: data}, nil
}

func certWriteCRL(_ *Handler, r *request) (*answer, error) {
	return nil, r.login.Cert.WriteCRL(r.ctx, lowerName(r), r.params)
}

func certDeleteCRL(_ *Handler, r *request) (*answer, error) {
	return nil, r.login.Cert.DeleteCRL(r.ctx, lowerName(r))
}

func certReadConfig(_ *Handler, r *request) (*answer, error) {
	c, err := r.login.Cert.Config(r.ctx)
	if err != nil {
		return nil, err
	}
	return &answer{data: map[string]any{"disable_binding": c.DisableBinding}}, nil
}

func certWriteConfig(_ *Handler, r *request) (*answer, error) {
	return nil, r.login.Cert.Configure(r.ctx, r.params)
}
