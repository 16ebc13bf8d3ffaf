package api

import (
	"github.com/hsmpki/hsmpki/pkid/ca"
	"github.com/hsmpki/hsmpki/pkid/role"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

var issueRoutes = []route{
	{pattern: "issuer/:issuer_ref/issue/:role", help: "Issue a certificate with a new key", ops: one(update, pkiIssue)},
	{pattern: "issuer/:issuer_ref/sign/:role", help: "Sign a CSR", ops: one(update, pkiSign)},
	{pattern: "issuer/:issuer_ref/sign-verbatim", help: "Sign a CSR as it is", ops: one(update, pkiSignVerbatim)},
	{pattern: "issuer/:issuer_ref/sign-verbatim/:role", help: "Sign a CSR as it is", ops: one(update, pkiSignVerbatim)},
	{pattern: "issue/:role", help: "Issue a certificate with a new key", ops: one(update, pkiIssue)},
	{pattern: "sign/:role", help: "Sign a CSR", ops: one(update, pkiSign)},
	{pattern: "sign-verbatim", help: "Sign a CSR as it is", ops: one(update, pkiSignVerbatim)},
	{pattern: "sign-verbatim/:role", help: "Sign a CSR as it is", ops: one(update, pkiSignVerbatim)},
}

// pkiIssue serves issue/:role.
func pkiIssue(_ *Handler, r *request) (*answer, error) {
	return r.issue(&ca.IssueRequest{Wish: role.ReadWish(r.params)})
}

// pkiSign serves sign/:role.
func pkiSign(_ *Handler, r *request) (*answer, error) {
	csr, err := r.csr()
	if err != nil {
		return nil, err
	}
	return r.issue(&ca.IssueRequest{Wish: role.ReadWish(r.params), CSR: csr})
}

// pkiSignVerbatim serves sign-verbatim[/:role].
func pkiSignVerbatim(_ *Handler, r *request) (*answer, error) {
	csr, err := r.csr()
	if err != nil {
		return nil, err
	}
	req := &ca.IssueRequest{Verbatim: role.ReadVerbatim(r.params), CSR: csr}
	if r.vars["role"] == "" {
		req.Issuer = r.params.String("issuer_ref")
	}
	return r.issue(req)
}

func (r *request) csr() (*role.CSR, error) {
	text := r.params.String("csr")
	if err := r.params.Err(); err != nil {
		return nil, err
	}
	if text == "" {
		return nil, vaultapi.BadRequest(`"csr" is empty`)
	}
	return role.ParseCSR(text)
}

// issue has a certificate made and writes it.
func (r *request) issue(req *ca.IssueRequest) (*answer, error) {
	encode, err := readFormat(r.params)
	if err != nil {
		return nil, err
	}
	req.Role, req.RequestID, req.Requester = r.vars["role"], r.id, r.who.name
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
