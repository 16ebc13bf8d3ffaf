package role

import (
	"crypto/x509"
	"net"
	"time"

	"github.com/hsmpki/hsmpki/pkid/issuance"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// RootWish is what a caller of root/generate asks of the certificate and, where
// a key is to be made, of the key (vault-api 3.1). Names are not restricted.
type RootWish struct {
	// KeyType and KeyBits are the key to make, KeyBits effective already;
	// without meaning for a managed or an existing key.
	KeyType string
	KeyBits int

	wish          *Wish
	rules         *Role // the subject and the backdating
	constraints   issuance.NameConstraints
	maxPathLength int
	keyUsage      x509.KeyUsage
	warnings      []string
}

// ReadRoot takes a wish for a root out of a request's parameters. An error is
// a *Refusal or one of vaultapi's conversion errors.
func ReadRoot(p *vaultapi.Params) (*RootWish, error) {
	w := &RootWish{KeyType: KeyRSA, wish: ReadWish(p), rules: anyName(), maxPathLength: p.Int("max_path_length", -1)}
	if p.Has("key_type") {
		w.KeyType = p.String("key_type")
	}
	w.rules.applySubject(p)
	w.rules.NotBeforeDuration = Seconds(p.Duration("not_before_duration", 30*time.Second) / time.Second)
	w.rules.SignatureBits = p.Int("signature_bits", 0)
	w.rules.UsePSS = p.Bool("use_pss", false)

	c := &w.constraints
	c.PermittedDNSDomains, c.ExcludedDNSDomains = p.StringList("permitted_dns_domains"), p.StringList("excluded_dns_domains")
	c.PermittedEmailAddresses, c.ExcludedEmailAddresses = p.StringList("permitted_email_addresses"), p.StringList("excluded_email_addresses")
	c.PermittedURIDomains, c.ExcludedURIDomains = p.StringList("permitted_uri_domains"), p.StringList("excluded_uri_domains")
	permitted, excluded := p.StringList("permitted_ip_ranges"), p.StringList("excluded_ip_ranges")
	usage, unknown := keyUsageBits(p.StringList("key_usage"))
	bits := p.Int("key_bits", 0)
	if err := p.Err(); err != nil {
		return nil, err
	}

	var err error
	if w.KeyBits, err = CheckKey(w.KeyType, bits); err != nil {
		return nil, err
	}
	if w.KeyType == KeyAny {
		return nil, refuse("unknown key type %s", w.KeyType)
	}
	if c.PermittedIPRanges, err = ipRanges("permitted_ip_ranges", permitted); err != nil {
		return nil, err
	}
	if c.ExcludedIPRanges, err = ipRanges("excluded_ip_ranges", excluded); err != nil {
		return nil, err
	}
	w.keyUsage = usage
	if len(unknown) > 0 || usage&^(caUsages|x509.KeyUsageDigitalSignature) != 0 {
		w.warnings = append(w.warnings, "a CA certificate has the key usages CertSign, CRLSign and, if asked for, DigitalSignature; others were ignored")
	}
	if w.maxPathLength == 0 {
		w.warnings = append(w.warnings, "Max path length of the generated certificate is zero. This certificate cannot be used to issue intermediate CA certificates.")
	}
	return w, nil
}

// Request is the request for the root's certificate. The caller sets PublicKey
// and URLs. An error is a *Refusal.
func (w *RootWish) Request(t *Terms) (*issuance.CARequest, []string, error) {
	n, err := w.rules.names(w.wish, nil)
	if err != nil {
		return nil, nil, err
	}
	if err := w.rules.permits(n); err != nil {
		return nil, nil, err
	}
	notBefore, notAfter, warnings, err := w.rules.validity(w.wish, t)
	if err != nil {
		return nil, nil, err
	}
	warnings = append(warnings, n.warnings()...)
	return &issuance.CARequest{
		Subject:         w.rules.subject(n),
		DNSNames:        sorted(n.dns),
		EmailAddresses:  sorted(n.emails),
		IPAddresses:     n.ips,
		URIs:            n.uris,
		OtherNames:      n.others,
		KeyUsage:        w.keyUsage & x509.KeyUsageDigitalSignature,
		MaxPathLength:   w.maxPathLength,
		NameConstraints: w.constraints,
		NotBefore:       notBefore,
		NotAfter:        notAfter,
		SignatureBits:   w.rules.SignatureBits,
		PSS:             w.rules.UsePSS,
	}, append(warnings, w.warnings...), nil
}

// anyName is a role that allows every name and requires none.
func anyName() *Role {
	r := Default()
	r.AllowAnyName = true
	r.EnforceHostnames = false
	r.RequireCN = false
	r.CNValidations = []string{cnDisabled}
	r.AllowedURISANs = []string{"*"}
	r.AllowedOtherSANs = []string{"*"}
	r.AllowedSerialNumbers = []string{"*"}
	r.AllowedUserIDs = []string{"*"}
	return r
}

// ipRanges reads CIDR ranges for name constraints.
func ipRanges(field string, texts []string) ([]*net.IPNet, error) {
	var ranges []*net.IPNet
	for _, text := range texts {
		_, r, err := net.ParseCIDR(text)
		if err != nil {
			return nil, refuse("%s: %q is not a range of addresses like 10.0.0.0/8", field, text)
		}
		ranges = append(ranges, r)
	}
	return ranges, nil
}
