package api

import (
	"context"
	"crypto/x509"
	"time"

	"github.com/hsmpki/hsmpki/pkid/ca"
	"github.com/hsmpki/hsmpki/pkid/inventory"
	"github.com/hsmpki/hsmpki/pkid/issuance"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

var certRoutes = []route{
	{pattern: "certs", help: "List the certificates' serial numbers", ops: one(list, pkiListCerts)},
	{pattern: "certs/revoked", help: "List the revoked certificates' serial numbers", ops: one(list, pkiListRevoked)},
	{pattern: "certs/detailed", help: "Find certificates by name, issuer, role, end and revocation", ops: one(list, pkiFindCerts)},
}

// pkiListCerts serves LIST certs, a page of it with after and limit.
func pkiListCerts(_ *Handler, r *request) (*answer, error) {
	return r.listSerials(r.mount.Authority.Serials)
}

// pkiListRevoked serves LIST certs/revoked, a page of it likewise.
func pkiListRevoked(_ *Handler, r *request) (*answer, error) {
	return r.listSerials(r.mount.Authority.RevokedSerials)
}

// serialList lists at most limit serial numbers, those after one.
type serialList func(ctx context.Context, after string, limit int) ([]string, error)

// listSerials answers with serial numbers; none is a 404.
func (r *request) listSerials(serials serialList) (*answer, error) {
	after, limit := r.params.String("after"), r.params.Int("limit", 0)
	if err := r.params.Err(); err != nil {
		return nil, err
	}
	if limit < 0 {
		return nil, vaultapi.BadRequest("limit=%d: must not be negative", limit)
	}
	list, err := serials(r.ctx, after, limit)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, vaultapi.NotFound()
	}
	return &answer{data: map[string]any{"keys": list}}, nil
}

// defaultPage is how many certificates a search answers if it does not say.
const defaultPage = 100

// pkiFindCerts serves LIST certs/detailed.
func pkiFindCerts(_ *Handler, r *request) (*answer, error) {
	p := r.params
	s := &ca.Search{
		CommonName: p.String("common_name"), Name: p.String("name"), Issuer: p.String("issuer"), Role: p.String("role"),
		ExpiresAfter: p.String("expires_after"), ExpiresBefore: p.String("expires_before"),
		After: p.String("after"), Limit: p.Int("limit", defaultPage),
	}
	if p.Has("revoked") {
		revoked := p.Bool("revoked", false)
		s.Revoked = &revoked
	}
	if err := p.Err(); err != nil {
		return nil, err
	}
	found, err := r.mount.Authority.Search(r.ctx, s)
	if err != nil {
		return nil, err
	}
	if len(found.Certificates) == 0 && found.Next == "" {
		return nil, vaultapi.NotFound()
	}
	keys, info := []string{}, map[string]any{}
	for i := range found.Certificates {
		f := &found.Certificates[i]
		serial := issuance.FormatSerial(f.Serial)
		keys = append(keys, serial)
		info[serial] = r.details(f)
	}
	return &answer{data: map[string]any{"keys": keys, "key_info": info, "next": found.Next}}, nil
}

// details tells what is known of a certificate. Of one that is not stored, or
// was tidied away after its revocation, that is little.
func (r *request) details(f *inventory.Found) map[string]any {
	d := map[string]any{
		"issuer_id": f.Issuer, "issuer_name": "", "role": f.Role, "requester": f.Requester, "stored": f.Parsed != nil,
		"not_after": rfc3339(f.NotAfter), "revoked": f.Revocation != nil, "revocation_time": 0, "revocation_time_rfc3339": "", "revocation_reason": "",
	}
	if i, err := r.mount.Authority.Issuer(f.Issuer); err == nil {
		d["issuer_name"] = i.Name
	}
	if v := f.Revocation; v != nil {
		d["revocation_time"], d["revocation_time_rfc3339"] = revocationTimes(v.At)
		d["revocation_reason"] = issuance.ReasonName(v.Reason)
	}
	if c := f.Parsed; c != nil {
		d["common_name"], d["subject"], d["names"] = c.Subject.CommonName, c.Subject.String(), alternativeNames(c)
		d["not_before"], d["issued_at"] = rfc3339(c.NotBefore), rfc3339(f.IssuedAt)
	}
	return d
}

func rfc3339(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// alternativeNames are the subject alternative names of the kinds that have a
// text.
func alternativeNames(c *x509.Certificate) []string {
	list := append(append([]string{}, c.DNSNames...), c.EmailAddresses...)
	for _, ip := range c.IPAddresses {
		list = append(list, ip.String())
	}
	for _, u := range c.URIs {
		list = append(list, u.String())
	}
	return list
}
