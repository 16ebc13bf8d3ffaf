package role

import (
	"crypto/x509/pkix"
	"encoding/asn1"

	"github.com/hsmpki/hsmpki/pkid/issuance"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// Verbatim is what sign-verbatim takes beside the CSR: defaults for what the
// CSR does not say.
type Verbatim struct {
	// Wish gives the validity; its names are the CSR's to give.
	Wish                          *Wish
	KeyUsage                      []string
	ExtKeyUsage                   []string
	ExtKeyUsageOIDs               []string
	SignatureBits                 int
	PSS                           bool
	BasicConstraintsValidForNonCA bool
}

// ReadVerbatim takes the parameters of sign-verbatim. Conversion errors are in
// p.Err.
func ReadVerbatim(p *vaultapi.Params) *Verbatim {
	v := &Verbatim{
		Wish:                          ReadWish(p),
		KeyUsage:                      Default().KeyUsage,
		SignatureBits:                 p.Int("signature_bits", 0),
		PSS:                           p.Bool("use_pss", false),
		BasicConstraintsValidForNonCA: p.Bool("basic_constraints_valid_for_non_ca", false),
	}
	list(p, "key_usage", &v.KeyUsage)
	list(p, "ext_key_usage", &v.ExtKeyUsage)
	list(p, "ext_key_usage_oids", &v.ExtKeyUsageOIDs)
	return v
}

// VerbatimRequest turns a CSR into a request for a certificate with the CSR's
// own subject and extensions. Of the role, if there is one (else nil), only the
// validity counts: ttl, max_ttl and not_before_duration. Basic constraints are
// copied when they say that the subject is no CA and refused otherwise; the
// extensions that are the issuer's to give are refused by issuance.
func VerbatimRequest(r *Role, v *Verbatim, csr *CSR, t *Terms) (*issuance.Request, []string, error) {
	rules := Default()
	if r != nil {
		rules.TTL, rules.MaxTTL, rules.NotBeforeDuration = r.TTL, r.MaxTTL, r.NotBeforeDuration
	}
	rules.KeyType, rules.KeyBits = KeyAny, 0
	rules.ServerFlag, rules.ClientFlag = false, false
	rules.KeyUsage, rules.ExtKeyUsage, rules.ExtKeyUsageOIDs = v.KeyUsage, v.ExtKeyUsage, v.ExtKeyUsageOIDs

	if err := rules.permitsKey(csr.PublicKey()); err != nil {
		return nil, nil, err
	}
	if _, err := extKeyUsageOIDs(v.ExtKeyUsageOIDs); err != nil {
		return nil, nil, err
	}
	if _, err := CheckSignatureBits(KeyRSA, v.SignatureBits); err != nil {
		return nil, nil, err
	}
	if err := v.Wish.check(); err != nil {
		return nil, nil, err
	}
	if err := rules.checkLists(); err != nil {
		return nil, nil, err
	}
	extensions, err := copiedExtensions(csr)
	if err != nil {
		return nil, nil, err
	}
	notBefore, notAfter, warnings, err := rules.leafValidity(v.Wish, t)
	if err != nil {
		return nil, nil, err
	}
	warnings = append(warnings, rules.unknownUsages()...)
	if v.Wish.namesSomething() {
		warnings = append(warnings, "sign-verbatim takes all names from the CSR; those in the request were ignored")
	}
	req := &issuance.Request{
		Names:            issuance.Names{RawSubject: csr.request.RawSubject},
		PublicKey:        csr.PublicKey(),
		BasicConstraints: v.BasicConstraintsValidForNonCA,
		ExtraExtensions:  extensions,
		NotBefore:        notBefore,
		NotAfter:         notAfter,
		SignatureBits:    v.SignatureBits,
		PSS:              v.PSS,
	}
	if err := rules.usages(req, rules.keyTypeOf(v.Wish, csr)); err != nil {
		return nil, nil, err
	}
	return req, warnings, nil
}

func (w *Wish) namesSomething() bool {
	return w.CommonName != "" || w.SerialNumber != "" ||
		len(w.AltNames)+len(w.IPSANs)+len(w.URISANs)+len(w.OtherSANs)+len(w.UserIDs) > 0
}

// copiedExtensions are the CSR's extensions.
func copiedExtensions(csr *CSR) ([]pkix.Extension, error) {
	var copied []pkix.Extension
	for _, e := range csr.request.Extensions {
		if e.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 19}) {
			var constraints struct {
				CA         bool `asn1:"optional"`
				PathLength int  `asn1:"optional,default:-1"`
			}
			if rest, err := asn1.Unmarshal(e.Value, &constraints); err != nil || len(rest) > 0 {
				return nil, refuse("certificate request could not be parsed: malformed basic constraints")
			}
			if constraints.CA {
				return nil, refuse("the CSR asks for a CA certificate (basic constraints with isCA=true), which sign-verbatim does not issue")
			}
		}
		copied = append(copied, e)
	}
	return copied, nil
}
