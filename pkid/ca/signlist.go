package ca

import (
	"bytes"
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"time"

	"github.com/hsmpki/hsmpki/pkid/hsm"
	"github.com/hsmpki/hsmpki/pkid/issuance"
)

// ListRequest is what a caller of sign-revocation-list and resign-crls says of
// the CRL that he wants signed. It is none of the mount's own: it is not kept,
// and its number is the caller's business.
type ListRequest struct {
	Issuer     string // reference
	Number     int64
	Base       int64 // of a delta CRL: the complete one's number; -1 for a complete one
	Life       time.Duration
	Extensions []pkix.Extension
	RequestID  string
}

// SignList has a CRL with these entries signed (DER, one after the other).
func (a *Authority) SignList(ctx context.Context, req *ListRequest, entries []byte) (der []byte, warnings []string, err error) {
	i, k, err := a.view.Load().signerOfLists(req.Issuer)
	if err != nil {
		return nil, nil, err
	}
	return a.signListBy(ctx, i, k, req, entries)
}

func (a *Authority) signListBy(ctx context.Context, i *Issuer, k *Key, req *ListRequest, entries []byte) (der []byte, warnings []string, err error) {
	now := a.cfg.Now().UTC().Truncate(time.Second)
	list := &issuance.RevocationList{
		Number: big.NewInt(req.Number), ThisUpdate: now, NextUpdate: now.Add(req.Life), Algorithm: i.crlAlgorithmID, Extensions: req.Extensions,
	}
	if req.Base >= 0 {
		list.Base = big.NewInt(req.Base)
	}
	list.Look = func(tbs, dummy []byte) (err error) {
		warnings, err = a.LintCRL(i.ID, tbs, dummy)
		return err
	}
	// Without waiting: a second later it would be another list.
	signer, err := a.signer(hsm.WithoutWaiting(ctx), k, a.cfg.UUID+" "+req.RequestID)
	if err != nil {
		return nil, nil, err
	}
	der, err = i.issuance.IssueRevocationList(list, entries, signer)
	return der, warnings, err
}

// ResignLists has one CRL signed that has the entries of all of these (DER),
// each of which the issuer must have signed.
func (a *Authority) ResignLists(ctx context.Context, req *ListRequest, lists [][]byte) (der []byte, warnings []string, err error) {
	i, k, err := a.view.Load().signerOfLists(req.Issuer)
	if err != nil {
		return nil, nil, err
	}
	merged := merging{at: map[string]int{}}
	for n, octets := range lists {
		list, err := x509.ParseRevocationList(octets)
		if err != nil {
			return nil, nil, refuse("crls: number %d: %v", n+1, err)
		}
		if !bytes.Equal(list.RawIssuer, i.Certificate.RawSubject) ||
			i.Certificate.CheckSignature(list.SignatureAlgorithm, list.RawTBSRevocationList, list.Signature) != nil {
			return nil, nil, refuse("crls: number %d is not signed by the issuer %s", n+1, i.ID)
		}
		for _, entry := range list.RevokedCertificateEntries {
			if err := merged.add(&entry); err != nil {
				return nil, nil, refuse("crls: number %d: %v", n+1, err)
			}
		}
	}
	der, warnings, err = a.signListBy(ctx, i, k, req, merged.der())
	return der, append(merged.warnings, warnings...), err
}

// signerOfLists finds an issuer that can sign CRLs, and its key.
func (v *view) signerOfLists(ref string) (*Issuer, *Key, error) {
	i, err := v.issuer(ref)
	if err != nil {
		return nil, nil, err
	}
	if err := v.cannotSignCRLs(i); err != nil {
		return nil, nil, err
	}
	return i, v.keys[i.KeyID], nil
}

// merging joins the entries of several CRLs. Of two for one serial number the
// earlier counts.
type merging struct {
	entries  []*x509.RevocationListEntry
	at       map[string]int // of a serial number in entries
	warnings []string
}

func (m *merging) add(e *x509.RevocationListEntry) error {
	serial := issuance.FormatSerial(e.SerialNumber)
	for _, extension := range e.Extensions {
		if extension.Critical {
			return fmt.Errorf("the entry of %s has the critical extension %v, which may give it another meaning", serial, extension.Id)
		}
	}
	if e.ReasonCode == issuance.RemoveFromCRL {
		return fmt.Errorf("the entry of %s takes a revocation back (removeFromCRL)", serial)
	}
	n, known := m.at[serial]
	switch {
	case !known:
		m.at[serial] = len(m.entries)
		m.entries = append(m.entries, e)
	case !e.RevocationTime.Equal(m.entries[n].RevocationTime):
		m.warnings = append(m.warnings, fmt.Sprintf("Duplicate serial %s with different revocation times detected, using oldest revocation time", serial))
		if e.RevocationTime.Before(m.entries[n].RevocationTime) {
			m.entries[n] = e
		}
	}
	return nil
}

func (m *merging) der() (der []byte) {
	for _, e := range m.entries {
		der = append(der, e.Raw...)
	}
	return der
}
