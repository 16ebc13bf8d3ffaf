package constraint

import (
	"net/netip"

	"github.com/hsmpki/hsmpki/config"
	"github.com/hsmpki/hsmpki/hsmd/tbs"
)

// names are the rules for names: a list for each kind. As in RFC 5280, section
// 4.2.1.10, each name is judged by the lists of its kind; other than there, a
// name of a kind without a permitted list is refused once another kind has one.
type names struct {
	permits bool // some permitted list is there
	dns     kind
	ip      kind
	email   kind
	uri     kind
	dir     kind
	other   oids
}

// kind is the rules for names of one kind. Names and entries are in a form in
// which equal ones are equal texts.
type kind struct {
	permitted, excluded         []string
	permittedRule, excludedRule string

	canonical       func(string) (string, bool) // of a name
	within, touches func(name, entry string) bool
}

// newNames reads the lists; nil where there are none.
func newNames(c *config.Constraint) (*names, error) {
	if c.Permitted.Empty() && c.Excluded.Empty() && len(c.PermittedOtherNames) == 0 {
		return nil, nil
	}
	n := &names{permits: !c.Permitted.Empty() || len(c.PermittedOtherNames) > 0}
	for _, o := range c.PermittedOtherNames {
		n.other.add(o)
	}
	if n.other.bad != "" {
		return nil, c.Place.Errorf("permitted_other_names", "permitted_other_names: %q is no object identifier", n.other.bad)
	}
	p, e := &c.Permitted, &c.Excluded
	for _, k := range []struct {
		to                  *kind
		attr                string
		permitted, excluded []string
		rules               kind
		entry               func(string) (string, bool)
	}{
		{&n.dns, "dns_domains", p.DNSDomains, e.DNSDomains, kind{canonical: dnsName, within: dnsWithin, touches: dnsTouches}, domain},
		{&n.ip, "ip_ranges", p.IPRanges, e.IPRanges, kind{canonical: address, within: inRange, touches: inRange}, ipRange},
		{&n.email, "email_addresses", p.EmailAddresses, e.EmailAddresses, kind{canonical: mailbox, within: mailWithin, touches: mailTouches}, mailEntry},
		{&n.uri, "uri_domains", p.URIDomains, e.URIDomains, kind{canonical: uriHost, within: hostWithin, touches: hostTouches}, domain},
		{&n.dir, "directory_names", p.DirectoryNames, e.DirectoryNames, kind{canonical: directoryName, within: below, touches: below}, parseDirectoryName},
	} {
		*k.to = k.rules
		k.to.permittedRule, k.to.excludedRule = "permitted_"+k.attr, "excluded_"+k.attr
		for _, list := range []struct {
			rule    string
			entries []string
			to      *[]string
		}{{k.to.permittedRule, k.permitted, &k.to.permitted}, {k.to.excludedRule, k.excluded, &k.to.excluded}} {
			for _, text := range list.entries {
				entry, ok := k.entry(text)
				if !ok {
					return nil, c.Place.Errorf(list.rule, "%s: %q cannot be such an entry", list.rule, text)
				}
				*list.to = append(*list.to, entry)
			}
		}
	}
	return n, nil
}

// ipRange is checked by package config already.
func ipRange(s string) (string, bool) {
	_, err := netip.ParsePrefix(s)
	return s, err == nil
}

// subjectNames is about permitted_ and excluded_.
func (s *Set) subjectNames(m *tbs.Summary, _ Facts) error {
	if s.names == nil {
		return nil
	}
	if s.names.permits {
		for _, id := range []string{idMicrosoftSID, idNetscapeServer} {
			if _, ok := extension(m, id); ok && !s.extensions.has([]byte(id)) {
				return s.refuse("permitted_extensions", "extension %s is a name too, and not listed", dotted([]byte(id)))
			}
		}
	}
	value, _ := extension(m, idSubjectAltName)
	for _, g := range generalNames(value) {
		if err := s.alternative(g); err != nil {
			return err
		}
	}
	return s.subject(m.Subject)
}

// alternative judges one name of the subjectAltName.
func (s *Set) alternative(g generalName) error {
	n := s.names
	switch g.tag {
	case tagEmail:
		return s.judge(&n.email, "e-mail address", string(g.value))
	case tagDNS:
		return s.judge(&n.dns, "DNS name", string(g.value))
	case tagURI:
		return s.judge(&n.uri, "URI", string(g.value))
	case tagIP:
		return s.judge(&n.ip, "IP address", string(g.value))
	case tagDirectory:
		return s.judge(&n.dir, "directory name", string(g.value))
	case tagOther:
		if n.permits && !n.other.has(g.otherType) {
			return s.refuse("permitted_other_names", "an other name is of type %s", dotted(g.otherType))
		}
	default:
		if n.permits {
			return s.refuse("permitted names", "there is a name of a kind (tag %d) that no list is for", g.tag&0x1f)
		}
	}
	return nil
}

// judge holds a name against the lists of its kind.
func (s *Set) judge(k *kind, what, raw string) error {
	if len(k.permitted)+len(k.excluded) == 0 {
		if s.names.permits {
			return s.refuse(k.permittedRule, "there is none, and the certificate has the %s %s", what, shown(what, raw))
		}
		return nil
	}
	if err := s.excluded(k, what, raw); err != nil {
		return err
	}
	name, ok := k.canonical(raw)
	if !ok && len(k.permitted) > 0 {
		return s.refuse(k.permittedRule, "the %s %s cannot be judged", what, shown(what, raw))
	}
	for _, entry := range k.permitted {
		if k.within(name, entry) {
			return nil
		}
	}
	if !s.names.permits {
		return nil
	}
	return s.refuse(k.permittedRule, "the %s %s is not among them", what, shown(what, raw))
}

// excluded holds a name against the excluded list of its kind alone.
func (s *Set) excluded(k *kind, what, raw string) error {
	if len(k.excluded) == 0 {
		return nil
	}
	name, ok := k.canonical(raw)
	if !ok {
		return s.refuse(k.excludedRule, "the %s %s cannot be judged", what, shown(what, raw))
	}
	for _, entry := range k.excluded {
		if k.touches(name, entry) {
			return s.refuse(k.excludedRule, "the %s %s is excluded", what, shown(what, raw))
		}
	}
	return nil
}
