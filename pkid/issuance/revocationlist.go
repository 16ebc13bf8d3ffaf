package issuance

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"time"
)

// RevocationList is what a complete CRL is to say (RFC 5280, section 5): of
// version 2, with a CRL number, an authority key identifier and a nextUpdate.
type RevocationList struct {
	// Number must be greater than that of each earlier CRL of the issuer.
	Number *big.Int
	// ThisUpdate and NextUpdate are cut to whole seconds.
	ThisUpdate, NextUpdate time.Time
	// Entries are the revoked certificates; their order is kept.
	Entries []Revoked
	// Algorithm 0 is what the issuer's key signs certificates with by default.
	Algorithm x509.SignatureAlgorithm
	// Look, if not nil, sees the TBSCertList (DER, not to be changed) and a dummy
	// of the signature's length before the key is asked; its error ends the act.
	Look func(tbs, dummy []byte) error
}

// IssueRevocationList has the list signed, verifies the signature, and returns
// it as DER. The issuer's certificate must allow it (cRLSign).
func (i *Issuer) IssueRevocationList(list *RevocationList, signer crypto.MessageSigner) ([]byte, error) {
	if i.certificate.KeyUsage&x509.KeyUsageCRLSign == 0 {
		return nil, errors.New("revocation list: the issuer's key usage does not allow signing CRLs")
	}
	if err := i.holds(signer); err != nil {
		return nil, fmt.Errorf("revocation list: %w", err)
	}
	algorithm := list.Algorithm
	if algorithm == 0 {
		var err error
		if algorithm, err = signatureAlgorithm(i.certificate.PublicKey, 0, false); err != nil {
			return nil, fmt.Errorf("revocation list: %w", err)
		}
	}
	template := &x509.RevocationList{
		SignatureAlgorithm:        algorithm,
		Number:                    list.Number,
		ThisUpdate:                list.ThisUpdate.UTC().Truncate(time.Second),
		NextUpdate:                list.NextUpdate.UTC().Truncate(time.Second),
		RevokedCertificateEntries: make([]x509.RevocationListEntry, len(list.Entries)),
	}
	for n, e := range list.Entries {
		template.RevokedCertificateEntries[n] = x509.RevocationListEntry{
			SerialNumber: e.SerialNumber, RevocationTime: e.RevokedAt.UTC().Truncate(time.Second), ReasonCode: e.Reason,
		}
	}
	dummy, err := dummySignature(i.certificate.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("revocation list: %w", err)
	}
	looker := &lookingSigner{MessageSigner: signer, look: list.Look, dummy: dummy}
	der, err := x509.CreateRevocationList(rand.Reader, template, i.certificate, looker)
	if err == nil {
		err = sameContent(der, looker.looked)
	}
	if err != nil {
		return nil, fmt.Errorf("revocation list: %w", err)
	}
	return der, nil
}

// lookingSigner lets somebody look at a message before it is signed.
type lookingSigner struct {
	crypto.MessageSigner
	look          func(message, dummy []byte) error
	dummy, looked []byte
}

func (s *lookingSigner) SignMessage(random io.Reader, message []byte, opts crypto.SignerOpts) ([]byte, error) {
	if s.look != nil {
		if err := s.look(message, s.dummy); err != nil {
			return nil, err
		}
	}
	s.looked = message
	return s.MessageSigner.SignMessage(random, message, opts)
}
