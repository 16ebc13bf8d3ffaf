package ca

import (
	"context"
	"crypto"
	"crypto/x509"
	"strings"

	"github.com/hsmpki/hsmpki/pkid/hsm"
	"github.com/hsmpki/hsmpki/pkid/identity"
	"github.com/hsmpki/hsmpki/pkid/inventory"
	"github.com/hsmpki/hsmpki/pkid/issuance"
	"github.com/hsmpki/hsmpki/pkid/role"
	"github.com/hsmpki/hsmpki/pkid/store"
)

// IssueRequest is what a caller of issue, sign and sign-verbatim says.
type IssueRequest struct {
	Role   string // name; for Verbatim it may be empty
	Issuer string // reference; empty: the role's
	// CSR is nil for issue, where the key is made here.
	CSR *role.CSR
	// Wish is for issue and sign, Verbatim for sign-verbatim; one is set.
	Wish      *role.Wish
	Verbatim  *role.Verbatim
	RequestID string
	Requester string          // who asks, for the record
	Alias     *identity.Alias // of who asks, for the role's templates; nil: none
	Draw      Draw
}

// Issued is a new certificate.
type Issued struct {
	Serial      string // colon hex
	DER         []byte
	Certificate *x509.Certificate
	Issuer      *Issuer
	Key         crypto.Signer // of issue; nil otherwise
	Warnings    []string
}

// Issue makes a certificate under a role: for a key that is made here, or for
// the one that signed a CSR. What it returns is durable; where the role says that
// certificates are not stored, that the serial number was given is.
func (a *Authority) Issue(ctx context.Context, req *IssueRequest) (*Issued, error) {
	// Step 1: the role, and the issuer that it or the path names.
	v := a.view.Load()
	roleName := strings.ToLower(req.Role)
	r := v.roles[roleName]
	if r == nil && (req.Verbatim == nil || req.Role != "") {
		return nil, refuse("unknown role: %s", req.Role)
	}
	if r != nil {
		r = r.For(req.Alias)
	}
	out := &Issued{}
	var keyType string // of the key to be made; with a CSR there is none
	var keyBits int
	var err error
	if req.CSR == nil {
		if keyType, keyBits, err = r.LeafKey(req.Wish); err != nil {
			return nil, err
		}
	}
	ref := req.Issuer
	if ref == "" && r != nil {
		ref = r.IssuerRef
	}
	if ref == "" {
		ref = "default"
	}
	issuer, key, err := v.forIssuing(ref)
	if err != nil {
		return nil, err
	}
	out.Issuer = issuer

	// Step 2: may it be? Names, times, usages, in Vault's order.
	draw := req.Draw.or(a.cfg.Now)
	now := draw.Now
	terms := a.terms(now, issuer.Certificate, issuer.LeafNotAfter)
	var template *issuance.Request
	if req.Verbatim != nil {
		template, out.Warnings, err = role.VerbatimRequest(r, req.Verbatim, req.CSR, terms)
	} else {
		template, out.Warnings, err = r.Request(req.Wish, req.CSR, terms)
	}
	if err != nil {
		return nil, err
	}

	// Step 3: make the key, which may take long, only now; check what can be
	// checked before the HSM is asked, then ask it.
	if req.CSR == nil {
		if out.Key, err = leafKey(keyType, keyBits); err != nil {
			return nil, err
		}
		template.PublicKey = out.Key.Public()
	} else if err := a.cfg.GoodKeys.CheckLeaf(template.PublicKey); err != nil {
		return nil, refuse("%s", err)
	}
	template.Serial = draw.Serial
	prepared, err := issuer.issuance.Prepare(template, now)
	if err != nil {
		return nil, err
	}
	signing := ctx
	if out.Key != nil { // which would be another the next time
		signing = hsm.WithoutWaiting(ctx)
	}
	if err := a.finish(signing, out, prepared, key, r, req.RequestID); err != nil {
		return nil, err
	}

	// Step 4: keep it, or what revoking it takes, and only then show it.
	return a.record(ctx, out, func(tx store.Tx) error {
		if r != nil && r.NoStore {
			return a.inventory.PutUnstored(tx, &inventory.Certificate{
				Serial: out.Certificate.SerialNumber, Issuer: issuer.ID, Group: issuer.group, NotAfter: out.Certificate.NotAfter,
			})
		}
		return a.putCertificate(tx, issuer, out.DER, out.Certificate, now, roleName, req.Requester)
	})
}
