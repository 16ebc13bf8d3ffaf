package api

import (
	"github.com/hsmpki/hsmpki/pkid/ca"
	"github.com/hsmpki/hsmpki/pkid/role"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

var issueRoutes = []route{
	{pattern: "issuer/:issuer_ref/issue/:role", help: "Issue a certificate with a new key", ops: one(update, pkiIssue)},
	{pattern: "issuer/:issuer_ref/sign/:role", help: "Sign a CSR", waits: true, ops: one(update, pkiSign)},
	{pattern: "issuer/:issuer_ref/sign-verbatim", help: "Sign a CSR as it is", waits: true, ops: one(update, pkiSignVerbatim)},
	{pattern: "issuer/:issuer_ref/sign-verbatim/:role", help: "Sign a CSR as it is", waits: true, ops: one(update, pkiSignVerbatim)},
	{pattern: "issue/:role", help: "Issue a certificate with a new key", ops: one(update, pkiIssue)},
	{pattern: "sign/:role", help: "Sign a CSR", waits: true, ops: one(update, pkiSign)},
	{pattern: "sign-verbatim", help: "Sign a CSR as it is", waits: true, ops: one(update, pkiSignVerbatim)},
	{pattern: "sign-verbatim/:role", help: "Sign a CSR as it is", waits: true, ops: one(update, pkiSignVerbatim)},
}

// pkiIssue serves issue/:role.
func pkiIssue(_ *Handler, r *request) (*answer, error) {
	return r.issue(&ca.IssueRequest{Wish: role.ReadWish(r.params)})
}

// pkiSign serves sign/:role.
func pkiSign(_ *Handler, r *request) (*answer, error) {
	return r.sign(&ca.IssueRequest{Wish: role.ReadWish(r.params)})
}

// pkiSignVerbatim serves sign-verbatim[/:role].
func pkiSignVerbatim(_ *Handler, r *request) (*answer, error) {
	req := &ca.IssueRequest{Verbatim: role.ReadVerbatim(r.params)}
	if r.vars["role"] == "" {
		req.Issuer = r.params.String("issuer_ref")
	}
	return r.sign(req)
}

// sign is issue with the CSR of the request.
func (r *request) sign(req *ca.IssueRequest) (*answer, error) {
	text := r.params.String("csr")
	encode, err := r.begin()
	if err != nil {
		return nil, err
	}
	if req.CSR, err = role.ParseCSR(text); err != nil {
		return nil, err
	}
	return r.finish(req, encode)
}

// issue has a certificate made and writes it.
func (r *request) issue(req *ca.IssueRequest) (*answer, error) {
	encode, err := r.begin()
	if err != nil {
		return nil, err
	}
	return r.finish(req, encode)
}

// begin refuses what does not depend on the wish, in Vault's order: a parameter
// of the wrong type, a role that is not there, a format that is none.
func (r *request) begin() (format, error) {
	encode, wrongFormat := readFormat(r.params)
	if err := r.params.Err(); err != nil {
		return encode, err
	}
	if name := r.vars["role"]; name != "" {
		if _, err := r.mount.Authority.Role(name); err != nil {
			return encode, vaultapi.BadRequest("unknown role: %s", name)
		}
	}
	return encode, wrongFormat
}

func (r *request) finish(req *ca.IssueRequest, encode format) (*answer, error) {
	req.Role, req.RequestID, req.Requester, req.Draw = r.vars["role"], r.id, r.who.name, r.draw
	req.Alias = r.who.alias
	if ref := r.vars["issuer_ref"]; ref != "" {
		req.Issuer = ref
	}
	out, err := r.mount.Authority.Issue(r.ctx, req)
	if err != nil {
		return nil, err
	}
	data, err := encode.issued(out)
	return &answer{data: data, warnings: out.Warnings}, err
}
