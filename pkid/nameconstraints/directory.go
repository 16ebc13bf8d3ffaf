package nameconstraints

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// canonicalName returns the relative distinguished names of a Name, each so
// written that equal ones are equal texts: RFC 5280, section 7.1, in OpenSSL's
// reading, whatever the string type, the case of ASCII letters, and the blanks
// around and between words. Nil if it is malformed; not nil if it is empty.
func canonicalName(der []byte) []string {
	in := cryptobyte.String(der)
	var sequence cryptobyte.String
	if !in.ReadASN1(&sequence, cbasn1.SEQUENCE) || !in.Empty() {
		return nil
	}
	rdns := []string{}
	for !sequence.Empty() {
		var set cryptobyte.String
		if !sequence.ReadASN1(&set, cbasn1.SET) || set.Empty() {
			return nil
		}
		var attributes []string
		for !set.Empty() {
			attribute, ok := canonicalAttribute(&set)
			if !ok {
				return nil
			}
			attributes = append(attributes, attribute)
		}
		slices.Sort(attributes)
		rdns = append(rdns, strings.Join(attributes, ""))
	}
	return rdns
}

// canonicalAttribute reads an AttributeTypeAndValue.
func canonicalAttribute(set *cryptobyte.String) (string, bool) {
	var attribute, value cryptobyte.String
	var id asn1.ObjectIdentifier
	var tag cbasn1.Tag
	if !set.ReadASN1(&attribute, cbasn1.SEQUENCE) || !attribute.ReadASN1ObjectIdentifier(&id) ||
		!attribute.ReadAnyASN1(&value, &tag) || !attribute.Empty() {
		return "", false
	}
	if text, ok := decodeText(tag, value); ok {
		return fmt.Sprintf("%s=%q;", id, fold(text)), true
	}
	return fmt.Sprintf("%s:%d=%x;", id, tag, []byte(value)), true
}

// decodeText reads the string types; false for all others.
func decodeText(tag cbasn1.Tag, value []byte) (string, bool) {
	switch tag {
	case cbasn1.UTF8String, cbasn1.PrintableString, cbasn1.IA5String, cbasn1.Tag(asn1.TagNumericString), cbasn1.Tag(26): // VisibleString
		return string(value), true
	case cbasn1.T61String: // read as Latin-1
		runes := make([]rune, len(value))
		for i, b := range value {
			runes[i] = rune(b)
		}
		return string(runes), true
	case cbasn1.Tag(asn1.TagBMPString):
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

// fold drops what does not count: case of ASCII letters, outer blanks, and of
// several blanks all but one.
func fold(text string) string {
	text = strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, text)
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t\n\v\f\r", r) }), " ")
}

// directoryText writes a Name for people.
func directoryText(der []byte) string {
	var rdns pkix.RDNSequence
	if _, err := asn1.Unmarshal(der, &rdns); err != nil {
		return fmt.Sprintf("%x", der)
	}
	return rdns.String()
}
