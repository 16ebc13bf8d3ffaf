package cert

import (
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"slices"
	"strings"

	"github.com/hsmpki/hsmpki/pkid/auth/tokenparams"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// maxTrusted bounds the certificates of one role.
const maxTrusted = 64

// Role is whom one trusts, and what he gets: auth/<path>/certs/<name>, as it is
// stored.
type Role struct {
	Name        string `json:"name"`
	DisplayName string `json:"display_name"`
	Certificate string `json:"certificate"` // PEM: CAs, or clients' own certificates

	AllowedNames               []string `json:"allowed_names,omitempty"`
	AllowedCommonNames         []string `json:"allowed_common_names,omitempty"`
	AllowedDNSSANs             []string `json:"allowed_dns_sans,omitempty"`
	AllowedEmailSANs           []string `json:"allowed_email_sans,omitempty"`
	AllowedURISANs             []string `json:"allowed_uri_sans,omitempty"`
	AllowedOrganizationalUnits []string `json:"allowed_organizational_units,omitempty"`
	RequiredExtensions         []string `json:"required_extensions,omitempty"`         // "oid:value" or "hex:oid:value"
	AllowedMetadataExtensions  []string `json:"allowed_metadata_extensions,omitempty"` // OIDs

	Token tokenparams.Params `json:"token"`
}

// lists are the fields that are lists of texts, by name.
func (r *Role) lists() map[string]*[]string {
	return map[string]*[]string{
		"allowed_names": &r.AllowedNames, "allowed_common_names": &r.AllowedCommonNames, "allowed_dns_sans": &r.AllowedDNSSANs,
		"allowed_email_sans": &r.AllowedEmailSANs, "allowed_uri_sans": &r.AllowedURISANs,
		"allowed_organizational_units": &r.AllowedOrganizationalUnits, "required_extensions": &r.RequiredExtensions,
		"allowed_metadata_extensions": &r.AllowedMetadataExtensions,
	}
}

// apply overwrites the fields that are given, as Vault's write does, and checks
// the result.
func (r *Role) apply(p *vaultapi.Params) error {
	for _, name := range []string{"ocsp_enabled", "ocsp_fail_open", "ocsp_query_all_servers"} {
		if p.Bool(name, false) {
			return vaultapi.BadRequest("%s: OCSP is not asked; give the CA's CRLs to crls/<name>", name)
		}
	}
	for _, name := range []string{"ocsp_ca_certificates", "ocsp_servers_override"} {
		if p.Has(name) {
			return vaultapi.BadRequest("%s: OCSP is not asked; give the CA's CRLs to crls/<name>", name)
		}
	}
	if p.Present("certificate") {
		r.Certificate = strings.TrimSpace(p.String("certificate"))
	}
	if p.Has("display_name") {
		r.DisplayName = p.String("display_name")
	}
	for name, list := range r.lists() {
		if p.Present(name) {
			*list = p.StringList(name)
		}
	}
	if err := r.Token.Apply(p); err != nil { // with the errors of all these
		return err
	}
	return r.check()
}

func (r *Role) check() error {
	trusted, err := r.trusted()
	if err != nil {
		return err
	}
	for _, c := range trusted {
		if !c.IsCA && !forClients(c) {
			return vaultapi.BadRequest("nonCA certificates should have TLS client authentication set as an extended key usage")
		}
	}
	for _, text := range r.RequiredExtensions {
		if _, ok := requirement(text); !ok {
			return vaultapi.BadRequest("required_extensions: %q is not of the form oid:value, or hex:oid:value", text)
		}
	}
	for _, text := range r.AllowedMetadataExtensions {
		if !isOID(text) {
			return vaultapi.BadRequest("allowed_metadata_extensions: %q is no OID", text)
		}
	}
	return nil
}

// trusted reads the role's certificates.
func (r *Role) trusted() (list []*x509.Certificate, err error) {
	rest := []byte(r.Certificate)
	for len(strings.TrimSpace(string(rest))) > 0 {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil || block.Type != "CERTIFICATE" || len(list) == maxTrusted {
			return nil, vaultapi.BadRequest("failed to parse certificate: it is not 1 to %d certificates in PEM", maxTrusted)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, vaultapi.BadRequest("failed to parse certificate: %v", err)
		}
		list = append(list, c)
	}
	if len(list) == 0 {
		return nil, vaultapi.BadRequest("failed to parse certificate: there is none")
	}
	return list, nil
}

// forClients reports whether a certificate says that it is for TLS clients.
func forClients(c *x509.Certificate) bool {
	return slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageClientAuth) || slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny)
}

// Show is the answer to reading the role.
func (r *Role) Show() map[string]any {
	data := map[string]any{"certificate": r.Certificate, "display_name": r.DisplayName}
	for name, list := range r.lists() {
		data[name] = append([]string{}, *list...)
	}
	r.Token.Show(data)
	return data
}

// allows says why a client's certificate has not what the role asks for, "" if
// it has. Each list that there is has to be met, by one of its patterns.
func (r *Role) allows(c *x509.Certificate) string {
	var uris []string
	for _, u := range c.URIs {
		uris = append(uris, u.String())
	}
	for _, f := range []struct {
		field    string
		patterns []string
		names    []string
	}{
		{"allowed_names", r.AllowedNames, slices.Concat([]string{c.Subject.CommonName}, c.DNSNames, c.EmailAddresses)},
		{"allowed_common_names", r.AllowedCommonNames, []string{c.Subject.CommonName}},
		{"allowed_dns_sans", r.AllowedDNSSANs, c.DNSNames},
		{"allowed_email_sans", r.AllowedEmailSANs, c.EmailAddresses},
		{"allowed_uri_sans", r.AllowedURISANs, uris},
		{"allowed_organizational_units", r.AllowedOrganizationalUnits, c.Subject.OrganizationalUnit},
	} {
		if len(f.patterns) > 0 && !anyMatch(f.patterns, f.names) {
			return f.field
		}
	}
	for _, text := range r.RequiredExtensions {
		if want, ok := requirement(text); !ok || !want.met(c) {
			return "required_extensions"
		}
	}
	return ""
}

func anyMatch(patterns, names []string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		return slices.ContainsFunc(names, func(n string) bool { return vaultapi.GlobMatch(p, n) })
	})
}

// extension is one that a certificate must have, with a value like a pattern: a
// text in ASN.1, or any value in hexadecimal.
type extension struct {
	oid, pattern string
	hex          bool
}

func requirement(text string) (e extension, ok bool) {
	text, e.hex = strings.CutPrefix(text, "hex:")
	e.oid, e.pattern, ok = strings.Cut(text, ":")
	return e, ok && isOID(e.oid)
}

func (e extension) met(c *x509.Certificate) bool {
	value, found := extensionText(c, e.oid, e.hex)
	return found && vaultapi.GlobMatch(e.pattern, value)
}

// extensionText gives an extension's value, if it is a text or is wanted in
// hexadecimal.
func extensionText(c *x509.Certificate, oid string, asHex bool) (string, bool) {
	for _, e := range c.Extensions {
		if e.Id.String() != oid {
			continue
		}
		if asHex {
			return hex.EncodeToString(e.Value), true
		}
		var text string
		rest, err := asn1.Unmarshal(e.Value, &text)
		return text, err == nil && len(rest) == 0
	}
	return "", false
}

func isOID(text string) bool {
	_, err := x509.ParseOID(text)
	return err == nil
}
