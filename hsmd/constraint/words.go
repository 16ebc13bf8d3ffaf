package constraint

import (
	"fmt"
	"strings"

	"github.com/hsmpki/hsmpki/config"
)

// Words says what a block is, each rule as it stands in the configuration.
func Words(c *config.Constraint) string { return strings.Join(words(c), "; ") }

// words are the rules of a block as they stand in the configuration.
func words(c *config.Constraint) (all []string) {
	add := func(rule string, set bool, value any) {
		if set {
			all = append(all, fmt.Sprintf("%s %v", rule, value))
		}
	}
	list := func(rule string, values []string) { add(rule, len(values) > 0, strings.Join(values, ", ")) }
	list("sign", c.Sign)
	if c.CA != nil {
		add("ca", true, *c.CA)
	}
	if c.MaxPathLength != nil {
		add("max_path_length", true, *c.MaxPathLength)
	}
	add("max_ttl", c.MaxTTL > 0, c.MaxTTL)
	add("max_backdate", c.MaxBackdate > 0, c.MaxBackdate)
	add("max_crl_validity", c.MaxCRLValidity > 0, c.MaxCRLValidity)
	add("max_ocsp_validity", c.MaxOCSPValidity > 0, c.MaxOCSPValidity)
	for _, side := range []struct {
		prefix string
		names  *config.Names
	}{{"permitted_", &c.Permitted}, {"excluded_", &c.Excluded}} {
		list(side.prefix+"dns_domains", side.names.DNSDomains)
		list(side.prefix+"ip_ranges", side.names.IPRanges)
		list(side.prefix+"email_addresses", side.names.EmailAddresses)
		list(side.prefix+"uri_domains", side.names.URIDomains)
		list(side.prefix+"directory_names", side.names.DirectoryNames)
	}
	list("permitted_other_names", c.PermittedOtherNames)
	list("public_key_types", c.PublicKeyTypes)
	list("extended_key_usages", c.ExtendedKeyUsages)
	list("permitted_extensions", c.PermittedExtensions)
	list("permitted_policies", c.PermittedPolicies)
	list("issuer", c.Issuer)
	add("rate", c.Rate > 0, c.Rate)
	add("burst", c.Burst > 0, c.Burst)
	add("max_per_day", c.MaxPerDay > 0, c.MaxPerDay)
	list("hours", c.Hours)
	add("time_zone", len(c.Hours) > 0, c.TimeZone)
	return all
}
