package config

import (
	"net/netip"
	"slices"
	"strings"
)

// eku are the words of extended_key_usages.
var eku = []string{"server_auth", "client_auth", "code_signing", "email_protection", "time_stamping", "ocsp_signing"}

// constraint checks what can be told from the words alone. Names, hours and
// files are read by hsmd, which says what is wrong with them in the same way.
func (c checker) constraint(k *Constraint) {
	c.eachOf(k.Place, "sign", k.Sign, "csr", "certificate", "crl", "ocsp")
	if k.MaxPathLength != nil && (k.CA == nil || !*k.CA) {
		c.faultf(k.Place, "max_path_length", "max_path_length needs ca = true")
	}
	if k.Burst > 0 && k.Rate == 0 {
		c.faultf(k.Place, "burst", "burst needs rate")
	}
	for attr, d := range map[string]Duration{"max_ttl": k.MaxTTL, "max_backdate": k.MaxBackdate, "max_crl_validity": k.MaxCRLValidity, "max_ocsp_validity": k.MaxOCSPValidity} {
		if k.Place.Has(attr) && !k.Place.faulty(attr) && d == 0 {
			c.faultf(k.Place, attr, "%s must be longer than nothing", attr)
		}
	}
	if k.Place.Has("time_zone") && len(k.Hours) == 0 {
		c.faultf(k.Place, "time_zone", "time_zone needs hours")
	}
	c.eachOf(k.Place, "public_key_types", k.PublicKeyTypes, "RSA-2048", "RSA-3072", "RSA-4096", "P256", "P384", "P521", "Ed25519",
		"ML-DSA-44", "ML-DSA-65", "ML-DSA-87")
	for _, u := range k.ExtendedKeyUsages {
		if !slices.Contains(eku, u) && !isOID(u) {
			c.faultf(k.Place, "extended_key_usages", "extended_key_usages %q: must be %s, or an OID", u, quoted(eku))
		}
	}
	c.ranges(k.Place, "permitted_ip_ranges", k.Permitted.IPRanges)
	c.ranges(k.Place, "excluded_ip_ranges", k.Excluded.IPRanges)
	c.oids(k.Place, "permitted_other_names", k.PermittedOtherNames)
	c.oids(k.Place, "permitted_extensions", k.PermittedExtensions)
	c.oids(k.Place, "permitted_policies", k.PermittedPolicies)
	for _, s := range k.Issuer {
		path, ok := strings.CutPrefix(s, "file:")
		if !ok {
			c.faultf(k.Place, "issuer", `issuer %q: must be "file:/path" of a file with certificates`, s)
			continue
		}
		c.absolute(k.Place, "issuer", path)
	}
	for _, l := range k.lists() {
		if k.Place.Has(l.attr) && len(l.values) == 0 {
			c.faultf(k.Place, l.attr, "%s is an empty list: leave it out, or say what it permits", l.attr)
		}
	}
}

type namedList struct {
	attr   string
	values []string
}

// lists are those of which an empty one could be taken for "none" or for "any".
func (k *Constraint) lists() []namedList {
	return []namedList{
		{"sign", k.Sign}, {"public_key_types", k.PublicKeyTypes}, {"extended_key_usages", k.ExtendedKeyUsages},
		{"permitted_dns_domains", k.Permitted.DNSDomains}, {"permitted_ip_ranges", k.Permitted.IPRanges},
		{"permitted_email_addresses", k.Permitted.EmailAddresses}, {"permitted_uri_domains", k.Permitted.URIDomains},
		{"permitted_directory_names", k.Permitted.DirectoryNames}, {"permitted_other_names", k.PermittedOtherNames},
		{"permitted_extensions", k.PermittedExtensions}, {"permitted_policies", k.PermittedPolicies},
		{"issuer", k.Issuer}, {"hours", k.Hours},
	}
}

func (c checker) ranges(p Place, attr string, list []string) {
	for _, s := range list {
		if prefix, err := netip.ParsePrefix(s); err != nil || prefix != prefix.Masked() || prefix.Addr().Is4In6() {
			c.faultf(p, attr, `%s %q: must be a range such as "10.0.0.0/8"`, attr, s)
		}
	}
}

func (c checker) oids(p Place, attr string, list []string) {
	for _, s := range list {
		if !isOID(s) {
			c.faultf(p, attr, `%s %q: must be an OID such as "1.3.6.1.5.5.7.1.1"`, attr, s)
		}
	}
}

func isOID(s string) bool {
	arcs := strings.Split(s, ".")
	for _, a := range arcs {
		if a == "" || strings.Trim(a, "0123456789") != "" {
			return false
		}
	}
	return len(arcs) > 1
}
