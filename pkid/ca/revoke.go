package ca

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/hsmpki/hsmpki/pkid/inventory"
	"github.com/hsmpki/hsmpki/pkid/issuance"
	"github.com/hsmpki/hsmpki/pkid/store"
)

// RevokeRequest is what a caller of revoke and revoke-with-key says.
type RevokeRequest struct {
	// Serial is the serial number as the API writes it; Certificate, in its
	// place, is the certificate.
	Serial      string
	Certificate *x509.Certificate
	// Proof is the public half of a private key that was shown, nil if none was
	// asked for. It must be the certificate's.
	Proof        crypto.PublicKey
	Reason       int       // CRLReason (RFC 5280, section 5.3.1)
	InvalidSince time.Time // section 5.3.2; zero: not known
}

// Revoked says that a certificate is revoked.
type Revoked struct {
	At       time.Time // zero: it was not, as it has expired
	Warnings []string
}

// expiring is how near its end a certificate counts as expired.
const expiring = 2 * time.Second

// Revoke revokes a certificate for good. It is one update of the store, in
// which no CRL is made: whoever reads one waits for what covers it. A
// certificate that is revoked already stays as it is.
func (a *Authority) Revoke(ctx context.Context, req *RevokeRequest) (*Revoked, error) {
	if req.InvalidSince.After(a.cfg.Now()) {
		return nil, refuse("invalidity_date: %s is yet to come", req.InvalidSince.UTC().Format(time.RFC3339))
	}
	serial, err := req.serial()
	if err != nil {
		return nil, err
	}
	var out *Revoked
	err = a.update(ctx, func(tx store.Tx) error {
		r := &revoking{a: a, v: a.view.Load(), tx: tx, req: req, serial: serial, now: a.cfg.Now()}
		out, err = r.run()
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (req *RevokeRequest) serial() (*big.Int, error) {
	if req.Certificate != nil {
		if req.Certificate.SerialNumber.Sign() <= 0 {
			return nil, refuse("certificate: its serial number is not positive")
		}
		return req.Certificate.SerialNumber, nil
	}
	serial, err := issuance.ParseSerial(req.Serial)
	if err != nil {
		return nil, refuse("serial_number: %v", err)
	}
	return serial, nil
}

// revoking is one run of the update.
type revoking struct {
	a      *Authority
	v      *view
	tx     store.Tx
	req    *RevokeRequest
	serial *big.Int
	now    time.Time

	known  *inventory.Certificate
	parsed *x509.Certificate // nil: a serial number of which no certificate is kept
	adopts bool              // known is to be kept, in place of whatever there is
}

func (r *revoking) run() (*Revoked, error) {
	// Step 1: which certificate is it, and is it ours?
	if err := r.find(); err != nil {
		return nil, err
	}
	if err := r.proven(); err != nil {
		return nil, err
	}
	out := &Revoked{At: r.now}

	// Step 2: may it be revoked? What is revoked already is no refusal, nor is
	// what has expired, of which no CRL need tell.
	revocation := &inventory.Revocation{
		Serial: r.serial, Issuer: r.known.Issuer, Group: r.known.Group, NotAfter: r.known.NotAfter, At: r.now,
		Reason: r.req.Reason, InvalidSince: r.req.InvalidSince,
	}
	if r.parsed != nil {
		revocation.SPKI = r.parsed.RawSubjectPublicKeyInfo
		if inventory.GroupOf(r.parsed) == r.known.Group {
			return nil, refuse("adding issuer (id: %s) to its own CRL is not allowed", r.known.Issuer)
		}
	}
	earlier, err := r.a.inventory.Revocation(r.tx, r.serial)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	if earlier == nil && !r.known.NotAfter.After(r.now.Add(expiring)) && !r.v.settings.CRL.AllowExpired {
		return &Revoked{Warnings: []string{fmt.Sprintf("certificate with serial %s already expired; refusing to add to CRL", issuance.FormatSerial(r.serial))}}, nil
	}

	// Step 3: the certificate, if it is new here, the revocation, and what a CRL
	// takes from it.
	if r.adopts {
		if err := r.keep(); err != nil {
			return nil, err
		}
	}
	if _, err := r.a.inventory.Revoke(r.tx, revocation); err != nil {
		return nil, err
	}
	if earlier != nil {
		out.At = earlier.At
	}
	out.Warnings = r.warnings(earlier)
	return out, nil
}

// find looks the certificate up. One that was presented and is not kept here,
// because it was issued with no_store or because it comes from before this
// mount, is kept from now on if an issuer of this mount has signed it.
func (r *revoking) find() error {
	presented := r.req.Certificate
	known, err := r.a.inventory.Get(r.tx, r.serial)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	switch {
	case known == nil && presented == nil:
		return refuse("certificate with serial %s not found.", issuance.FormatSerial(r.serial))
	case known != nil && known.DER == nil && presented == nil:
		r.known = known // a serial number is all that is needed
		return nil
	case known != nil && known.DER != nil:
		if presented != nil && !bytes.Equal(presented.Raw, known.DER) {
			return refuse("certificate: another certificate with the serial number %s is stored here; nothing was revoked", issuance.FormatSerial(r.serial))
		}
		r.known = known
		r.parsed, err = x509.ParseCertificate(known.DER)
		return err
	}
	return r.adopt(known, presented)
}

// adopt takes a certificate that was presented for one of ours. known is what is
// kept of one that was issued with no_store, nil for none.
func (r *revoking) adopt(known *inventory.Certificate, presented *x509.Certificate) error {
	issuer := r.v.signerOf(presented)
	if issuer == nil {
		return refuse("unable to verify signature on presented cert from any present issuer in this mount; certificates from previous CAs will need to have their issuing CA and key imported if revocation is necessary")
	}
	if known != nil {
		if known.Group != issuer.group || !known.NotAfter.Equal(presented.NotAfter) {
			return refuse("certificate: another certificate with the serial number %s was issued here; nothing was revoked", issuance.FormatSerial(r.serial))
		}
	}
	// When it was issued is not known; it began at about that time.
	r.known = &inventory.Certificate{Serial: r.serial, DER: presented.Raw, Issuer: issuer.ID, Group: issuer.group,
		NotAfter: presented.NotAfter, IssuedAt: presented.NotBefore}
	r.parsed, r.adopts = presented, true
	return nil
}

func (r *revoking) keep() error {
	if err := r.a.inventory.Forget(r.tx, r.serial); err != nil {
		return err
	}
	return r.a.inventory.Put(r.tx, r.known, r.parsed)
}

// signerOf finds the issuer that has signed a certificate, nil if none has. Of
// several of one group it is the one with the least id.
func (v *view) signerOf(cert *x509.Certificate) *Issuer {
	var found *Issuer
	for _, i := range v.issuers {
		if bytes.Equal(i.Certificate.RawSubject, cert.RawIssuer) && (found == nil || i.ID < found.ID) &&
			i.Certificate.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature) == nil {
			found = i
		}
	}
	return found
}

// proven checks the key that was shown.
func (r *revoking) proven() error {
	if r.req.Proof == nil {
		return nil
	}
	if r.parsed == nil {
		return refuse("certificate with serial %s was issued with no_store: present it as \"certificate\", as its public key is not known here", issuance.FormatSerial(r.serial))
	}
	if k, ok := r.parsed.PublicKey.(interface{ Equal(crypto.PublicKey) bool }); !ok || !k.Equal(r.req.Proof) {
		return refuse("provided private key does not match certificate's public key")
	}
	return nil
}

// warnings are about what the caller may not expect.
func (r *revoking) warnings(earlier *inventory.Revocation) (out []string) {
	if earlier != nil && earlier.Reason != r.req.Reason && r.req.Reason != 0 {
		stays := fmt.Sprintf("the certificate was revoked already, with the reason %s, which stays", issuance.ReasonName(earlier.Reason))
		if r.req.Reason == issuance.KeyCompromise && r.parsed != nil {
			stays += "; its key is refused from now on"
		}
		out = append(out, stays)
	}
	if r.req.Reason == issuance.KeyCompromise && r.parsed == nil {
		out = append(out, `the certificate was issued with no_store and its key is not known: revoke it by "certificate" to have the key refused from now on`)
	}
	if i := r.v.issuers[r.known.Issuer]; i != nil && !i.may(usageCRL) {
		out = append(out, fmt.Sprintf("the issuer %s has no usage %s: no CRL will tell of the revocation", i.ID, usageCRL))
	}
	if r.parsed == nil {
		return out
	}
	for _, i := range r.v.issuers {
		if bytes.Equal(i.DER, r.parsed.Raw) {
			out = append(out, fmt.Sprintf("the certificate is that of the issuer %s, which goes on issuing; POST issuer/%s/revoke ends that", i.ID, i.ID))
		}
	}
	return out
}

// HasRevoked reports whether the mount has revoked the certificate with this
// serial number of an issuer, or of one that has its name and key.
func (a *Authority) HasRevoked(ctx context.Context, issuer *x509.Certificate, serial *big.Int) (bool, error) {
	var found *inventory.Revocation
	err := a.cfg.Store.View(ctx, func(r store.Reader) (err error) { found, err = a.inventory.Revocation(r, serial); return err })
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil && found.Group == inventory.GroupOf(issuer), err
}
