package api

import (
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hsmpki/hsmpki/pkid/ca"
	"github.com/hsmpki/hsmpki/pkid/issuance"
	"github.com/hsmpki/hsmpki/pkid/role"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

var signListRoutes = []route{
	{pattern: "issuer/:issuer_ref/resign-crls", help: "Sign one CRL with the entries of several", ops: one(update, pkiResignCRLs)},
	{pattern: "issuer/:issuer_ref/sign-revocation-list", help: "Sign a CRL with entries that are given", ops: one(update, pkiSignRevocationList)},
}

// pkiResignCRLs serves POST issuer/:ref/resign-crls.
func pkiResignCRLs(_ *Handler, r *request) (*answer, error) {
	req, format, err := r.listRequest()
	if err != nil {
		return nil, err
	}
	texts := r.params.StringList("crls")
	if err := r.params.Err(); err != nil {
		return nil, err
	}
	if len(texts) == 0 {
		return nil, vaultapi.BadRequest("crls: at least one CRL, as PEM, is needed")
	}
	var lists [][]byte
	for n, text := range texts {
		block, rest := pem.Decode([]byte(text))
		if block == nil || block.Type != "X509 CRL" || strings.TrimSpace(string(rest)) != "" {
			return nil, vaultapi.BadRequest("crls: number %d is not the PEM of one CRL (X509 CRL)", n+1)
		}
		lists = append(lists, block.Bytes)
	}
	der, warnings, err := r.mount.Authority.ResignLists(r.ctx, req, lists)
	if err != nil {
		return nil, err
	}
	return &answer{data: map[string]any{"crl": format.list(der)}, warnings: warnings}, nil
}

// pkiSignRevocationList serves POST issuer/:ref/sign-revocation-list.
func pkiSignRevocationList(h *Handler, r *request) (*answer, error) {
	req, format, err := r.listRequest()
	if err != nil {
		return nil, err
	}
	if req.Extensions, err = readExtensions(r.params, "extensions"); err != nil {
		return nil, err
	}
	for _, e := range req.Extensions {
		// The CRL number, the delta CRL indicator and the authority key
		// identifier are given by what else is asked for.
		if slices.Contains([]string{"2.5.29.20", "2.5.29.27", "2.5.29.35"}, e.Id.String()) {
			return nil, vaultapi.BadRequest("extensions: %v is not to be given: it follows from the number, the base or the issuer", e.Id)
		}
	}
	entries, err := readEntries(r.params, h.Now())
	if err != nil {
		return nil, err
	}
	der, warnings, err := r.mount.Authority.SignList(r.ctx, req, entries)
	if err != nil {
		return nil, err
	}
	return &answer{data: map[string]any{"crl": format.list(der)}, warnings: warnings}, nil
}

// list writes a CRL.
func (f format) list(der []byte) string { return f.certificate(der, crlPEM(der)) }

// listRequest reads what both have.
func (r *request) listRequest() (*ca.ListRequest, format, error) {
	p := r.params
	req := &ca.ListRequest{Issuer: r.vars["issuer_ref"], RequestID: r.id,
		Number: int64(p.Int("crl_number", -1)), Base: int64(p.Int("delta_crl_base_number", -1)), Life: p.Duration("next_update", 72*time.Hour)}
	f := format{kind: p.String("format")}
	switch err := p.Err(); {
	case err != nil:
		return nil, f, err
	case req.Number < 0:
		return nil, f, vaultapi.BadRequest("crl_number: must be given, and 0 or greater")
	case req.Base < -1:
		return nil, f, vaultapi.BadRequest("delta_crl_base_number=%d: must be -1 (none) or greater", req.Base)
	case req.Base >= req.Number:
		return nil, f, vaultapi.BadRequest("delta_crl_base_number=%d: must be less than crl_number, %d", req.Base, req.Number)
	case req.Life < time.Second || req.Life > 100*365*24*time.Hour:
		return nil, f, vaultapi.BadRequest("next_update=%v: must be from a second to 100 years", req.Life)
	case f.kind != "" && f.kind != "pem" && f.kind != "der":
		return nil, f, vaultapi.BadRequest(`the "format" path parameter must be "pem" or "der"`)
	}
	return req, f, nil
}

// readEntries reads revoked_certs and encodes them.
func readEntries(p *vaultapi.Params, now time.Time) (der []byte, err error) {
	seen := map[string]bool{}
	objects := p.Objects("revoked_certs")
	if err := p.Err(); err != nil {
		return nil, err
	}
	for n, object := range objects {
		wrong := func(format string, args ...any) error {
			return vaultapi.BadRequest("revoked_certs: number "+strconv.Itoa(n+1)+": "+format, args...)
		}
		e := vaultapi.NewParams(object)
		serial, err := issuance.ParseSerial(e.String("serial_number"))
		if err != nil || serial.Sign() <= 0 {
			return nil, wrong("serial_number: no positive number of hexadecimal octets")
		}
		if seen[serial.String()] {
			return nil, wrong("serial_number: %s is there twice", issuance.FormatSerial(serial))
		}
		seen[serial.String()] = true
		at, err := readTime(e.String("revocation_time"))
		if err != nil || at.After(now) {
			return nil, wrong("revocation_time: must be seconds since 1970 or a time of RFC 3339, and past")
		}
		extensions, err := readExtensions(e, "extensions")
		if err != nil {
			return nil, wrong("%v", err)
		}
		if err := e.Err(); err != nil {
			return nil, wrong("%v", err)
		}
		if unused := e.Unused(); len(unused) > 0 {
			return nil, wrong("unknown fields %v", unused)
		}
		entry, err := issuance.EncodeEntry(serial, at, extensions)
		if err != nil {
			return nil, wrong("%v", err)
		}
		der = append(der, entry...)
	}
	return der, nil
}

func readTime(text string) (time.Time, error) {
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
		return time.Unix(seconds, 0), nil
	}
	return time.Parse(time.RFC3339, text)
}

// readExtensions reads a list of X.509 extensions.
func readExtensions(p *vaultapi.Params, name string) ([]pkix.Extension, error) {
	var out []pkix.Extension
	for n, object := range p.Objects(name) {
		e := vaultapi.NewParams(object)
		id, err := role.ParseOID(e.String("id"))
		if err != nil {
			return nil, vaultapi.BadRequest("%s: number %d: id: %q is no object identifier, such as 2.5.29.21", name, n+1, e.String("id"))
		}
		value, err := base64.StdEncoding.DecodeString(e.String("value"))
		if err != nil {
			return nil, vaultapi.BadRequest("%s: number %d: value: not base64", name, n+1)
		}
		if slices.ContainsFunc(out, func(other pkix.Extension) bool { return other.Id.Equal(id) }) {
			return nil, vaultapi.BadRequest("%s: %v is there twice", name, id)
		}
		out = append(out, pkix.Extension{Id: id, Critical: e.Bool("critical", false), Value: value})
		if err := e.Err(); err != nil {
			return nil, err
		}
	}
	return out, p.Err()
}
