package ca

import (
	"context"
	"crypto/x509"

	"github.com/hsmpki/hsmpki/pkid/hsm"
	"github.com/hsmpki/hsmpki/pkid/inventory"
	"github.com/hsmpki/hsmpki/pkid/issuance"
	"github.com/hsmpki/hsmpki/pkid/role"
	"github.com/hsmpki/hsmpki/pkid/store"
)

// IntermediateRequest is what a caller of sign-intermediate says.
type IntermediateRequest struct {
	Issuer    string // reference
	CSR       *role.CSR
	Wish      *role.IntermediateWish
	RequestID string
	Requester string
	Draw      Draw
}

// SignIntermediate certifies the CA whose CSR this is. The certificate is kept as
// one that was issued, not as an issuer: it is another's, or comes back by Import.
func (a *Authority) SignIntermediate(ctx context.Context, req *IntermediateRequest) (*Issued, error) {
	issuer, key, err := a.view.Load().forIssuing(req.Issuer)
	if err != nil {
		return nil, err
	}
	draw := req.Draw.or(a.cfg.Now)
	now := draw.Now
	template, warnings, err := req.Wish.Request(req.CSR, a.terms(now, issuer.Certificate, req.Wish.Beyond(issuer.LeafNotAfter)))
	if err != nil {
		return nil, err
	}
	if err := a.goodKey(template.PublicKey); err != nil {
		return nil, err
	}
	template.Serial = draw.Serial
	prepared, err := issuer.issuance.PrepareCA(template, now)
	if err != nil {
		return nil, err
	}
	out := &Issued{Issuer: issuer, Warnings: warnings}
	if err := a.finish(ctx, out, prepared, key, nil, req.RequestID); err != nil {
		return nil, err
	}
	return a.record(ctx, out, func(tx store.Tx) error {
		return a.putCertificate(tx, issuer, out.DER, out.Certificate, now, "", req.Requester)
	})
}

// SelfIssuedRequest is what a caller of sign-self-issued says.
type SelfIssuedRequest struct {
	Issuer      string // reference
	Certificate *x509.Certificate
	SameKind    bool // require_matching_certificate_algorithms
	RequestID   string
}

// SignSelfIssued certifies a self-issued CA certificate again, below an issuer
// of this mount. As in Vault it is not stored; but as it has a serial number of
// its own, what revoking it takes is kept.
func (a *Authority) SignSelfIssued(ctx context.Context, req *SelfIssuedRequest) (*Issued, error) {
	issuer, key, err := a.view.Load().forIssuing(req.Issuer)
	if err != nil {
		return nil, err
	}
	if err := a.goodKey(req.Certificate.PublicKey); err != nil {
		return nil, err
	}
	prepared, err := issuer.issuance.PrepareSelfIssued(req.Certificate, req.SameKind, a.cfg.Now())
	if err != nil {
		return nil, err
	}
	out := &Issued{Issuer: issuer}
	// Without waiting: its serial number is drawn anew each time.
	if err := a.finish(hsm.WithoutWaiting(ctx), out, prepared, key, nil, req.RequestID); err != nil {
		return nil, err
	}
	return a.record(ctx, out, func(tx store.Tx) error {
		return a.inventory.PutUnstored(tx, &inventory.Certificate{
			Serial: out.Certificate.SerialNumber, Issuer: issuer.ID, Group: issuer.group, NotAfter: out.Certificate.NotAfter,
		})
	})
}

// finish lints what is prepared, under a role's settings if there is one, and
// has the issuer's key sign it, unless it is known already that it could not be
// kept.
func (a *Authority) finish(ctx context.Context, out *Issued, prepared *issuance.Prepared, key *Key, r *role.Role, requestID string) error {
	findings, err := a.view.Load().lint(prepared, r)
	if err != nil {
		return err
	}
	out.Warnings = append(out.Warnings, findings...)
	if err := a.cfg.Store.Writable(); err != nil {
		return err
	}
	signer, err := a.signer(ctx, key, a.cfg.UUID+" "+requestID)
	if err != nil {
		return err
	}
	if out.DER, out.Certificate, err = out.Issuer.issuance.Issue(prepared, signer); err != nil {
		return err
	}
	out.Serial = issuance.FormatSerial(out.Certificate.SerialNumber)
	return nil
}

// record makes what was signed durable, and gives it out only then. It is kept
// even if whoever asked has gone away meanwhile: there is a signature, of which
// hsmd's log knows. One that cannot be kept was made in vain, which is logged,
// and nobody sees it.
func (a *Authority) record(ctx context.Context, out *Issued, keep func(tx store.Tx) error) (*Issued, error) {
	if err := a.update(context.WithoutCancel(ctx), keep); err != nil {
		a.cfg.Log.Error("a certificate was signed and could not be recorded; it was not handed out", "serial", out.Serial, "error", err)
		return nil, err
	}
	return out, nil
}
