package role

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"slices"
	"time"

	"github.com/hsmpki/hsmpki/pkid/issuance"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// Wish is what a caller of issue, sign and sign-verbatim asks for.
type Wish struct {
	CommonName   string
	AltNames     []string // host names and e-mail addresses
	IPSANs       []string
	URISANs      []string
	OtherSANs    []string // oid;UTF8:value
	SerialNumber string   // the subject's, not the certificate's
	UserIDs      []string

	// KeyType and KeyBits are the key to make for issue under a role of key
	// type "any"; "" and 0: not given.
	KeyType string
	KeyBits int

	TTL      time.Duration // 0: not given; below a second it is refused
	NotAfter string        // RFC 3339; "": not given

	ExcludeCNFromSANs bool
}

// ReadWish takes a wish out of a request's parameters. Conversion errors are
// in p.Err.
func ReadWish(p *vaultapi.Params) *Wish {
	return &Wish{
		CommonName:        p.String("common_name"),
		AltNames:          p.StringList("alt_names"),
		IPSANs:            p.StringList("ip_sans"),
		URISANs:           p.StringList("uri_sans"),
		OtherSANs:         p.StringList("other_sans"),
		SerialNumber:      p.String("serial_number"),
		UserIDs:           p.StringList("user_ids"),
		KeyType:           p.String("key_type"),
		KeyBits:           p.Int("key_bits", 0),
		TTL:               p.Duration("ttl", 0),
		NotAfter:          p.String("not_after"),
		ExcludeCNFromSANs: p.Bool("exclude_cn_from_sans", false),
	}
}

// caUsages are the key usages of CA certificates alone.
const caUsages = x509.KeyUsageCertSign | x509.KeyUsageCRLSign

// Request turns a wish, with a CSR for sign and without (nil) for issue, into
// a certificate request that the role allows. Without a CSR the caller sets
// PublicKey to a key of LeafKey's kind. An error is a *Refusal with the text of
// the first check that failed, in Vault's order (vault-api 4.5), or a fault.
func (r *Role) Request(w *Wish, csr *CSR, t *Terms) (*issuance.Request, []string, error) {
	var warnings []string
	if csr != nil {
		if err := r.permitsKey(csr.PublicKey()); err != nil {
			return nil, nil, err
		}
		warnings = r.unheard(w, csr)
	}
	if (w.KeyType != "" || w.KeyBits != 0) && (csr != nil || r.KeyType != KeyAny) {
		warnings = append(warnings, "key_type and key_bits were ignored: they count for issue under a role of key_type any only")
	}
	n, err := r.names(w, csr)
	if err != nil {
		return nil, nil, err
	}
	if err := r.permits(n); err != nil {
		return nil, nil, err
	}
	notBefore, notAfter, more, err := r.leafValidity(w, t)
	if err != nil {
		return nil, nil, err
	}
	warnings = append(append(warnings, more...), n.warnings()...)
	for _, id := range n.userIDs {
		if !r.permitsUserID(id) {
			return nil, nil, refuse("user_id %s is not allowed by this role", id)
		}
	}
	req := &issuance.Request{
		Names:            r.namesFor(n),
		BasicConstraints: r.BasicConstraintsValidForNonCA,
		NotBefore:        notBefore,
		NotAfter:         notAfter,
		SignatureBits:    r.SignatureBits,
		PSS:              r.UsePSS,
	}
	if csr != nil {
		req.PublicKey = csr.PublicKey()
	}
	if err := r.usages(req, r.keyTypeOf(w, csr)); err != nil {
		return nil, nil, err
	}
	return req, warnings, nil
}

// usages sets what the certificate's key may be used for, and its policies.
func (r *Role) usages(req *issuance.Request, keyType string) (err error) {
	if req.KeyUsage, err = usageFor(keyType, r.KeyUsage); err != nil {
		return err
	}
	if req.KeyUsage&caUsages != 0 {
		return refuse("key_usage has CertSign or CRLSign, which only CA certificates may have")
	}
	req.ExtendedKeyUsage, _ = extKeyUsageList(r)
	if req.ExtendedKeyUsageOIDs, err = extKeyUsageOIDs(r.ExtKeyUsageOIDs); err != nil {
		return fmt.Errorf("ext_key_usage_oids of the role: %s", err)
	}
	if req.Policies, err = parsePolicies(r.PolicyIdentifiers); err != nil {
		return fmt.Errorf("policy_identifiers of the role: %s", err)
	}
	return nil
}

// namesFor is whose certificate it is: the subject is the role's but for the
// caller's common name, serial number and user ids.
func (r *Role) namesFor(n *names) issuance.Names {
	subject := pkix.Name{
		CommonName:         n.common,
		SerialNumber:       n.serial,
		Country:            unique(r.Country),
		Organization:       unique(r.Organization),
		OrganizationalUnit: unique(r.OU),
		Locality:           unique(r.Locality),
		Province:           unique(r.Province),
		StreetAddress:      unique(r.StreetAddress),
		PostalCode:         unique(r.PostalCode),
		ExtraNames:         userIDAttributes(n.userIDs),
	}
	return issuance.Names{
		Subject: subject, DNSNames: sorted(n.dns), EmailAddresses: sorted(n.emails), IPAddresses: n.ips, URIs: n.uris, OtherNames: n.others,
	}
}

func userIDAttributes(ids []string) []pkix.AttributeTypeAndValue {
	var attributes []pkix.AttributeTypeAndValue
	for _, id := range ids {
		attributes = append(attributes, pkix.AttributeTypeAndValue{Type: oidUserID, Value: id})
	}
	return attributes
}

// unique drops repeated and empty values and keeps the order.
func unique(values []string) []string {
	var out []string
	for _, v := range values {
		if v != "" && !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}

// unheard warns of what the wish says and the role takes from the CSR, and of
// what the CSR says and nobody can allow.
func (r *Role) unheard(w *Wish, csr *CSR) []string {
	var warnings []string
	if r.UseCSRCommonName && w.CommonName != "" && csr.request.Subject.CommonName != "" {
		warnings = append(warnings, `the common_name field was provided but the role is set with "use_csr_common_name" set to true`)
	}
	if r.UseCSRSANs && len(w.AltNames) > 0 {
		warnings = append(warnings, `the alt_names field was provided but the role is set with "use_csr_sans" set to true`)
	}
	if r.UseCSRSANs && len(w.IPSANs)+len(w.URISANs) > 0 {
		warnings = append(warnings, `the ip_sans or uri_sans field was provided but the role is set with "use_csr_sans" set to true`)
	}
	if r.UseCSRSANs && csr.unread > 0 {
		warnings = append(warnings, fmt.Sprintf("%d subject alternative names of the CSR are of kinds that a role cannot allow and were left out", csr.unread))
	}
	return warnings
}
