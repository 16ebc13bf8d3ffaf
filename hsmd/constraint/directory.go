package constraint

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// attribute is an AttributeTypeAndValue: the type's contents octets, and the
// value as text.
type attribute struct{ id, text string }

// readName takes a Name of any string types apart. Package tbs has read it too.
func readName(der string) (rdns [][]attribute, ok bool) {
	in := cryptobyte.String(der)
	var sequence cryptobyte.String
	if !in.ReadASN1(&sequence, asn1.SEQUENCE) || !in.Empty() {
		return nil, false
	}
	for !sequence.Empty() {
		var set cryptobyte.String
		if !sequence.ReadASN1(&set, asn1.SET) || set.Empty() {
			return nil, false
		}
		var rdn []attribute
		for !set.Empty() {
			var pair, id, value cryptobyte.String
			var tag asn1.Tag
			if !set.ReadASN1(&pair, asn1.SEQUENCE) || !pair.ReadASN1(&id, asn1.OBJECT_IDENTIFIER) || !pair.ReadAnyASN1(&value, &tag) || !pair.Empty() {
				return nil, false
			}
			text, ok := decode(tag, value)
			if !ok {
				return nil, false
			}
			rdn = append(rdn, attribute{string(id), text})
		}
		rdns = append(rdns, rdn)
	}
	return rdns, true
}

func decode(tag asn1.Tag, value []byte) (string, bool) {
	switch tag {
	case asn1.UTF8String, asn1.PrintableString, asn1.IA5String, 18: // NumericString
		return string(value), true
	case asn1.T61String: // read as Latin-1
		runes := make([]rune, len(value))
		for i, b := range value {
			runes[i] = rune(b)
		}
		return string(runes), true
	case 30: // BMPString
		if len(value)%2 != 0 {
			return "", false
		}
		units := make([]uint16, len(value)/2)
		for i := range units {
			units[i] = uint16(value[2*i])<<8 | uint16(value[2*i+1])
		}
		return string(utf16.Decode(units)), true
	}
	return "", false
}

// canonical writes relative distinguished names so that a name is below another
// if its text begins with the other's: whatever the string type, the case, and
// the blanks around and between words (RFC 5280, section 7.1).
func canonical(rdns [][]attribute) string {
	var b strings.Builder
	for _, rdn := range rdns {
		parts := make([]string, len(rdn))
		for i, a := range rdn {
			parts[i] = fmt.Sprintf("%x=%q;", a.id, strings.ToLower(strings.Join(strings.Fields(a.text), " ")))
		}
		slices.Sort(parts)
		b.WriteString(strings.Join(parts, ""))
		b.WriteByte('\n') // which no quoted text has
	}
	return b.String()
}

func directoryName(der string) (string, bool) {
	rdns, ok := readName(der)
	return canonical(rdns), ok
}

// below reports whether a name is in the subtree of an entry.
func below(name, entry string) bool { return strings.HasPrefix(name, entry) }

// attributeTypes are those of RFC 4514, section 3, and a few that are usual.
var attributeTypes = map[string]string{
	"CN": "2.5.4.3", "SN": "2.5.4.4", "SERIALNUMBER": "2.5.4.5", "C": "2.5.4.6", "L": "2.5.4.7", "ST": "2.5.4.8", "STREET": "2.5.4.9",
	"O": "2.5.4.10", "OU": "2.5.4.11", "POSTALCODE": "2.5.4.17", "DC": "0.9.2342.19200300.100.1.25", "UID": "0.9.2342.19200300.100.1.1",
}

// parseDirectoryName reads a name as RFC 4514 writes it, the last part of the
// tree first.
func parseDirectoryName(s string) (string, bool) {
	var rdns [][]attribute
	for _, part := range splitUnescaped(s, ',') {
		var rdn []attribute
		for _, pair := range splitUnescaped(part, '+') {
			kind, value, ok := strings.Cut(strings.TrimLeft(pair, " "), "=")
			id := attributeTypes[strings.ToUpper(kind)]
			if id == "" {
				id = kind
			}
			der, known := contents(id)
			text, sound := unescape(value)
			if !ok || !known || !sound || text == "" {
				return "", false
			}
			rdn = append(rdn, attribute{der, text})
		}
		rdns = append(rdns, rdn)
	}
	slices.Reverse(rdns)
	return canonical(rdns), true
}

func splitUnescaped(s string, at byte) (parts []string) {
	begin := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case at:
			parts = append(parts, s[begin:i])
			begin = i + 1
		}
	}
	return append(parts, s[begin:])
}

func unescape(s string) (string, bool) {
	if strings.HasPrefix(s, "#") {
		return "", false
	}
	var b []byte
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b = append(b, s[i])
			continue
		}
		if i+2 < len(s) {
			if octet, err := hex.DecodeString(s[i+1 : i+3]); err == nil {
				b = append(b, octet...)
				i += 2
				continue
			}
		}
		if i++; i == len(s) || strings.IndexByte(` "#+,;<=>\`, s[i]) < 0 {
			return "", false
		}
		b = append(b, s[i])
	}
	return string(b), true
}

// subject judges the subject: as a directory name where there are rules for
// these, its e-mail addresses, and what its common names read as.
func (s *Set) subject(der []byte) error {
	rdns, ok := readName(string(der))
	if !ok {
		return s.refuse("permitted_directory_names", "the subject cannot be read")
	}
	// A subject is no kind of name of which one may have none: without a
	// permitted list for it, it is only held against the excluded one.
	if d := &s.names.dir; len(rdns) > 0 {
		rule := s.excluded
		if len(d.permitted) > 0 {
			rule = s.judge
		}
		if err := rule(d, "directory name", string(der)); err != nil {
			return err
		}
	}
	for _, rdn := range rdns {
		for _, a := range rdn {
			var err error
			switch a.id {
			case idCommonName:
				err = s.commonName(a.text)
			case idEmailAddress:
				err = s.judge(&s.names.email, "e-mail address", a.text)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// commonName judges what a common name may be taken for: readers that look there
// cut it at a NUL, at blanks, and read letters beyond ASCII as they like.
func (s *Set) commonName(cn string) error {
	if strings.ContainsFunc(cn, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return s.refuse("permitted names", "the common name %q has control characters", cn)
	}
	cn = strings.TrimSpace(cn)
	if ip, err := netip.ParseAddr(strings.Trim(cn, "[]")); err == nil {
		return s.judge(&s.names.ip, "IP address", string(ip.WithZone("").AsSlice()))
	}
	switch {
	case strings.Contains(cn, "://"):
		return s.judge(&s.names.uri, "URI", cn)
	case strings.ContainsFunc(cn, unicode.IsSpace):
		return nil
	case strings.ContainsAny(cn, "@\uff20"):
		return s.judge(&s.names.email, "e-mail address", cn)
	case strings.ContainsAny(cn, ".\u3002\uff0e\uff61"):
		return s.judge(&s.names.dns, "DNS name", cn)
	}
	return nil
}
