package role

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/hsmpki/hsmpki/pkid/issuance"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// IntermediateWish is what a caller of sign-intermediate asks of the
// certificate, beside the CSR.
type IntermediateWish struct {
	caNames
	*caPowers
	useCSRValues bool
	subjectKeyID []byte
	enforce      bool
}

// ReadIntermediate takes such a wish out of a request's parameters. An error is
// a *Refusal or one of vaultapi's conversion errors.
func ReadIntermediate(p *vaultapi.Params) (*IntermediateWish, error) {
	w := &IntermediateWish{
		caNames:      readCANames(p),
		useCSRValues: p.Bool("use_csr_values", false),
		enforce:      p.Bool("enforce_leaf_not_after_behavior", false),
	}
	var err error
	if w.subjectKeyID, err = keyID(p.String("skid")); err != nil {
		return nil, err
	}
	w.caPowers, err = readCAPowers(p)
	return w, err
}

// maxKeyID is how many octets a subject key identifier may have.
const maxKeyID = 64

// keyID reads hexadecimal octets, between which may stand colons or dashes.
func keyID(text string) ([]byte, error) {
	id, err := hex.DecodeString(strings.NewReplacer(":", "", "-", "").Replace(text))
	if err != nil || len(id) > maxKeyID {
		return nil, refuse("skid: cannot parse given SKID value as hex of at most %d octets", maxKeyID)
	}
	return id, nil
}

// Beyond is what becomes of a certificate that would outlive an issuer with
// this leaf_not_after_behavior: it is cut, unless the wish is to hold the issuer
// to its behaviour or that is always to be held to (vault-api 4.1).
func (w *IntermediateWish) Beyond(issuer NotAfterBehavior) NotAfterBehavior {
	if w.enforce || issuer == BeyondAlwaysErr {
		return issuer
	}
	return BeyondTruncate
}

// Request is the request for the certificate of the CA whose CSR this is. An
// error is a *Refusal.
func (w *IntermediateWish) Request(csr *CSR, t *Terms) (*issuance.CARequest, []string, error) {
	if err := w.rules.permitsKey(csr.PublicKey()); err != nil {
		return nil, nil, err
	}
	req := &issuance.CARequest{
		PublicKey:       csr.PublicKey(),
		SubjectKeyID:    w.subjectKeyID,
		KeyUsage:        w.keyUsage,
		MaxPathLength:   w.maxPathLength,
		NameConstraints: w.constraints,
		SignatureBits:   w.rules.SignatureBits,
		PSS:             w.rules.UsePSS,
	}
	var warnings []string
	var err error
	if w.useCSRValues {
		warnings, err = w.fromCSR(req, csr)
	} else {
		warnings, err = w.fromWish(req, csr)
	}
	if err != nil {
		return nil, nil, err
	}
	var more []string
	if req.NotBefore, req.NotAfter, more, err = w.rules.validity(w.wish, t); err != nil {
		return nil, nil, err
	}
	warnings = append(warnings, more...)
	if cut := w.cut(t); cut != "" {
		warnings = append(warnings, cut)
	}
	return req, append(warnings, w.caPowers.warnings...), nil
}

// cut is the warning about an end that was cut to the issuer's.
func (w *IntermediateWish) cut(t *Terms) string {
	unbound := *t
	unbound.Issuer = nil
	_, wanted, _, err := w.rules.validity(w.wish, &unbound)
	if err != nil || t.Beyond != BeyondTruncate || t.Issuer == nil || !wanted.After(t.Issuer.NotAfter) {
		return ""
	}
	return fmt.Sprintf("The requested notAfter %s is beyond the expiration of the CA certificate; the certificate's notAfter was truncated to %s.",
		wanted.UTC().Format(time.RFC3339), t.Issuer.NotAfter.UTC().Format(time.RFC3339))
}

// fromWish takes subject and names from the request, but for a common name that
// only the CSR has.
func (w *IntermediateWish) fromWish(req *issuance.CARequest, csr *CSR) ([]string, error) {
	if w.wish.CommonName == "" {
		w.wish.CommonName = csr.request.Subject.CommonName
	}
	n, err := w.names()
	if err != nil {
		return nil, err
	}
	req.Names = w.rules.namesFor(n)
	return n.warnings(), nil
}

// fromCSR takes subject, names and extensions from the CSR. Its key usages are
// added to those of every CA, and basic constraints are the request's to give.
func (w *IntermediateWish) fromCSR(req *issuance.CARequest, csr *CSR) ([]string, error) {
	req.RawSubject = csr.request.RawSubject
	for _, e := range csr.request.Extensions {
		switch {
		case e.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 19}): // basic constraints
		case e.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 15}):
			usage, err := keyUsageExtension(e)
			if err != nil {
				return nil, err
			}
			req.KeyUsage |= usage
		case e.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 14}) && len(w.subjectKeyID) > 0: // skid replaces it
		default:
			req.ExtraExtensions = append(req.ExtraExtensions, e)
		}
	}
	if w.wish.namesSomething() || len(w.rules.namesFor(&names{}).Subject.ToRDNSequence()) > 0 {
		return []string{"use_csr_values takes the subject and all names from the CSR; those in the request were ignored"}, nil
	}
	return nil, nil
}

// keyUsageExtension reads the bits of a CSR's key usage (RFC 5280, section
// 4.2.1.3).
func keyUsageExtension(e pkix.Extension) (x509.KeyUsage, error) {
	var bits asn1.BitString
	if rest, err := asn1.Unmarshal(e.Value, &bits); err != nil || len(rest) > 0 {
		return 0, refuse("certificate request could not be parsed: malformed key usage")
	}
	var usage x509.KeyUsage
	for i := range 9 {
		usage |= x509.KeyUsage(bits.At(i)) << i
	}
	return usage, nil
}
