package role

import (
	"net"
	"strings"

	"github.com/hsmpki/hsmpki/pkid/issuance"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// readConstraints reads the name constraints of a CA certificate. An error is a
// *Refusal that names the parameter, or one of vaultapi's conversion errors.
func readConstraints(p *vaultapi.Params) (issuance.NameConstraints, error) {
	var c issuance.NameConstraints
	var all []parameter
	for _, field := range []struct {
		name  string
		texts *[]string
		ok    func(string) bool
		form  string
	}{
		{"permitted_dns_domains", &c.PermittedDNSDomains, isDomain, "a domain like example.com"},
		{"excluded_dns_domains", &c.ExcludedDNSDomains, isDomain, "a domain like example.com"},
		{"permitted_email_addresses", &c.PermittedEmailAddresses, isMailDomain, "an address, a host or a domain like user@example.com, example.com or .example.com"},
		{"excluded_email_addresses", &c.ExcludedEmailAddresses, isMailDomain, "an address, a host or a domain like user@example.com, example.com or .example.com"},
		{"permitted_uri_domains", &c.PermittedURIDomains, isDomain, "a host or a domain like example.com or .example.com"},
		{"excluded_uri_domains", &c.ExcludedURIDomains, isDomain, "a host or a domain like example.com or .example.com"},
	} {
		*field.texts = p.StringList(field.name)
		all = append(all, parameter{field.name, *field.texts})
		for _, text := range *field.texts {
			if !field.ok(text) {
				return c, refuse("%s: %.200q is not %s", field.name, text, field.form)
			}
		}
	}
	for _, field := range []struct {
		name   string
		ranges *[]*net.IPNet
	}{{"permitted_ip_ranges", &c.PermittedIPRanges}, {"excluded_ip_ranges", &c.ExcludedIPRanges}} {
		texts := p.StringList(field.name)
		all = append(all, parameter{field.name, texts})
		for _, text := range texts {
			_, r, err := net.ParseCIDR(text)
			if err != nil {
				return c, refuse("%s: %.200q is not a range of addresses like 10.0.0.0/8", field.name, text)
			}
			*field.ranges = append(*field.ranges, r)
		}
	}
	if err := p.Err(); err != nil {
		return c, err
	}
	return c, checkAll(all)
}

// isDomain reports whether a name constraint is of host names or domains, which
// have a dot before them where only what is below is meant.
func isDomain(s string) bool {
	return !strings.HasPrefix(s, "*") && !strings.HasSuffix(s, ".") && isHostname(strings.TrimPrefix(s, "."))
}

// isMailDomain reports whether a name constraint is of e-mail addresses (RFC
// 5280, section 4.2.1.10).
func isMailDomain(s string) bool {
	local, host, found := strings.Cut(s, "@")
	if !found {
		return isDomain(s)
	}
	return local != "" && !strings.ContainsFunc(local, unprintable) && !strings.HasPrefix(host, ".") && isDomain(host)
}
