package tbs

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
)

// name takes a Name and gives its DER.
func (p *parser) name(what string) ([]byte, error) {
	name, err := p.in.want(tagSequence, maxField, what)
	if err != nil {
		return nil, err
	}
	if !isName(name.der) {
		return nil, malformed("has a malformed name as %s", what)
	}
	return name.der, nil
}

// isName reports whether der is an RDNSequence (RFC 5280, section 4.1.2.4)
// whose attribute values are strings.
func isName(der cryptobyte.String) bool {
	sequence, ok := take(&der, tagSequence)
	if !ok || !der.Empty() {
		return false
	}
	for !sequence.Empty() {
		set, ok := take(&sequence, tagSet)
		if !ok || set.Empty() {
			return false
		}
		var before []byte
		for !set.Empty() {
			attribute, ok := takeWhole(&set)
			if !ok || attribute.tag != tagSequence || bytes.Compare(before, attribute.der) > 0 {
				return false
			}
			before = attribute.der
			if !nameAttribute(attribute.body) {
				return false
			}
		}
	}
	return true
}

func nameAttribute(body cryptobyte.String) bool {
	id, ok := take(&body, tagOID)
	if !ok || !objectIdentifier(id) {
		return false
	}
	value, ok := takeWhole(&body)
	return ok && body.Empty() && directoryString(value.tag, value.body)
}

// directoryString checks the string types that stand in names, the old ones
// included, which an imported issuer may have.
func directoryString(tag byte, s []byte) bool {
	switch tag {
	case tagUTF8:
		return utf8.Valid(s)
	case tagPrintable:
		return all(s, printable)
	case tagIA5:
		return all(s, func(b byte) bool { return b < 0x80 })
	case tagNumeric:
		return all(s, func(b byte) bool { return b == ' ' || '0' <= b && b <= '9' })
	case tagTeletex:
		return true
	case tagBMP:
		return bmp(s)
	}
	return false
}

func all(s []byte, allowed func(byte) bool) bool {
	for _, b := range s {
		if !allowed(b) {
			return false
		}
	}
	return true
}

// printable has the letters of PrintableString (X.680, section 41.4), and "*"
// and "&", which real names have in them and crypto/x509 reads.
func printable(b byte) bool {
	switch {
	case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '\'' <= b && b <= ')', '+' <= b && b <= '/', '0' <= b && b <= ':':
		return true
	}
	return b == ' ' || b == '=' || b == '?' || b == '*' || b == '&'
}

// bmp reports whether s is big-endian UCS-2 without surrogates and
// noncharacters.
func bmp(s []byte) bool {
	if len(s)%2 != 0 {
		return false
	}
	for ; len(s) > 0; s = s[2:] {
		point := uint16(s[0])<<8 | uint16(s[1])
		if point >= 0xd800 && point <= 0xdfff || point >= 0xfdd0 && point <= 0xfdef || point >= 0xfffe {
			return false
		}
	}
	return true
}

// NameString writes a DER Name as RFC 4514 does, for logs.
func NameString(der []byte) string {
	name, ok := plainName(der)
	if !ok {
		if rest, err := asn1.Unmarshal(der, &name); err != nil || len(rest) > 0 {
			return hex.EncodeToString(der)
		}
	}
	return name.String()
}

// plainName reads a Name whose values are of the common types of string, as
// nearly all are: each signature asks for two, and [asn1.Unmarshal] takes its time.
func plainName(der cryptobyte.String) (name pkix.RDNSequence, ok bool) {
	sequence, ok := take(&der, tagSequence)
	if !ok || !der.Empty() {
		return nil, false
	}
	for !sequence.Empty() {
		set, ok := take(&sequence, tagSet)
		if !ok {
			return nil, false
		}
		var rdn pkix.RelativeDistinguishedNameSET
		for !set.Empty() {
			body, ok := take(&set, tagSequence)
			var a pkix.AttributeTypeAndValue
			if !ok || !body.ReadASN1ObjectIdentifier(&a.Type) {
				return nil, false
			}
			value, ok := takeWhole(&body)
			if !ok || !body.Empty() || value.tag != tagUTF8 && value.tag != tagPrintable && value.tag != tagIA5 {
				return nil, false
			}
			a.Value = string(value.body)
			rdn = append(rdn, a)
		}
		name = append(name, rdn)
	}
	return name, true
}
