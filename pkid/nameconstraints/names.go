package nameconstraints

import (
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"net"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// form is a choice of GeneralName, by its context tag (RFC 5280, section
// 4.2.1.6).
type form uint8

const (
	other      form = 0
	email      form = 1
	dns        form = 2
	x400       form = 3
	directory  form = 4
	ediParty   form = 5
	uri        form = 6
	ip         form = 7
	registered form = 8
)

var formTexts = map[form]string{
	other: "other name", email: "e-mail address", dns: "DNS name", x400: "X.400 address", directory: "directory name",
	ediParty: "EDI party name", uri: "URI", ip: "IP address", registered: "registered id",
}

// Name is a name of a certificate, or the base of a constraint.
type Name struct {
	form  form
	value []byte // the content of the GeneralName
	// rdns are a directory name's, each in its canonical form.
	rdns []string
	text string // a directory name's, for people
	// misencoded: an e-mail address that is not an IA5String.
	misencoded bool
}

// String is the name with its form, for people.
func (n Name) String() string {
	switch n.form {
	case email, dns, uri:
		return fmt.Sprintf("%s %q", formTexts[n.form], n.value)
	case ip:
		if half := len(n.value) / 2; half == 4 || half == 16 {
			return fmt.Sprintf("IP range %s", &net.IPNet{IP: n.value[:half], Mask: n.value[half:]})
		}
		return fmt.Sprintf("IP address %s", net.IP(n.value))
	case directory:
		if n.text == "" {
			n.text = directoryText(n.value)
		}
		return fmt.Sprintf("directory name %q", n.text)
	case other:
		return fmt.Sprintf("other name of type %s", n.otherType())
	}
	if text, ok := formTexts[n.form]; ok {
		return text
	}
	return fmt.Sprintf("name of form %d", n.form)
}

// otherType is the type of an other name, nil if there is none.
func (n *Name) otherType() asn1.ObjectIdentifier {
	in := cryptobyte.String(n.value)
	var id asn1.ObjectIdentifier
	if n.form != other || !in.ReadASN1ObjectIdentifier(&id) {
		return nil
	}
	return id
}

var (
	oidSubjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidEmailAddress   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}
	oidCommonName     = asn1.ObjectIdentifier{2, 5, 4, 3}
)

// attributeSET is a RelativeDistinguishedName; encoding/asn1 knows a SET by the
// end of its type's name.
type attributeSET []struct {
	Type  asn1.ObjectIdentifier
	Value asn1.RawValue
}

// NamesOf lists what of a certificate is held against name constraints: the
// subject, e-mail addresses in it, all alternative names, and in an end entity's
// certificate without DNS names a common name that reads as one.
func NamesOf(c *x509.Certificate) ([]Name, error) {
	var names []Name
	for _, e := range c.Extensions {
		if !e.Id.Equal(oidSubjectAltName) {
			continue
		}
		var err error
		if names, err = ParseNames(e.Value); err != nil {
			return nil, err
		}
	}
	if len(c.Subject.Names) > 0 {
		rdns := canonicalName(c.RawSubject)
		if rdns == nil {
			return nil, fmt.Errorf("malformed subject")
		}
		names = append(names, Name{form: directory, value: c.RawSubject, rdns: rdns, text: c.Subject.String()})
	}
	var rdns []attributeSET
	if rest, err := asn1.Unmarshal(c.RawSubject, &rdns); err != nil || len(rest) > 0 {
		return nil, fmt.Errorf("malformed subject")
	}
	for _, set := range rdns {
		for _, a := range set {
			switch text := a.Value.Bytes; {
			case a.Type.Equal(oidEmailAddress):
				names = append(names, Name{form: email, value: text, misencoded: a.Value.Tag != asn1.TagIA5String})
			case a.Type.Equal(oidCommonName) && !c.IsCA && len(c.DNSNames) == 0 && readsAsHost(string(text)):
				names = append(names, Name{form: dns, value: text})
			}
		}
	}
	return names, nil
}

// ParseNames reads the value of a subjectAltName extension.
func ParseNames(der []byte) ([]Name, error) {
	malformed := fmt.Errorf("malformed subject alternative name")
	in := cryptobyte.String(der)
	var all cryptobyte.String
	if !in.ReadASN1(&all, cbasn1.SEQUENCE) || !in.Empty() {
		return nil, malformed
	}
	var names []Name
	for !all.Empty() {
		var value cryptobyte.String
		var tag cbasn1.Tag
		if !all.ReadAnyASN1(&value, &tag) {
			return nil, malformed
		}
		n := Name{form: form(tag &^ 0xa0), value: value}
		if n.form == directory {
			if n.rdns = canonicalName(value); n.rdns == nil {
				return nil, malformed
			}
		}
		names = append(names, n)
	}
	return names, nil
}

// readsAsHost reports whether OpenSSL takes a common name for a host name:
// letters, digits, "_", inner hyphens, and at least one dot inside.
func readsAsHost(name string) bool {
	if !strings.Contains(name, ".") {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			switch c := label[i]; {
			case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
			default:
				return false
			}
		}
	}
	return true
}
