package role

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/hsmpki/hsmpki/pkid/issuance"
)

// maxCSR is how many octets of PEM a CSR may have.
const maxCSR = 64 << 10

// CSR is a parsed certification request (RFC 2986) whose signature verified.
type CSR struct {
	request    *x509.CertificateRequest
	otherNames []issuance.OtherName
	userIDs    []string
	// unread counts alternative names of kinds that a role cannot allow.
	unread int
}

// PublicKey is the key that the CSR's signature proves possession of.
func (c *CSR) PublicKey() crypto.PublicKey { return c.request.PublicKey }

// ParseCSR reads one certification request in PEM and verifies its signature.
// The error is a *Refusal.
func ParseCSR(text string) (*CSR, error) {
	if text == "" {
		return nil, refuse(`"csr" is empty`)
	}
	if len(text) > maxCSR {
		return nil, refuse("csr is longer than the %d octets that are possible", maxCSR)
	}
	block, rest := pem.Decode([]byte(text))
	if block == nil {
		return nil, refuse("csr contains no data")
	}
	if block.Type != "CERTIFICATE REQUEST" && block.Type != "NEW CERTIFICATE REQUEST" {
		return nil, refuse("certificate request could not be parsed: the PEM block is a %q", block.Type)
	}
	if next, _ := pem.Decode(rest); next != nil {
		return nil, refuse("certificate request could not be parsed: there is more than one PEM block")
	}
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, refuse("certificate request could not be parsed: %s", err)
	}
	if kind, _ := kindOf(request.PublicKey); kind == "" {
		return nil, refuse("Refusing to sign CSR with an unsupported type of public key")
	}
	if err := request.CheckSignature(); err != nil {
		return nil, refuse("request signature invalid: %s", err)
	}
	c := &CSR{request: request}
	if err := c.readNames(); err != nil {
		return nil, err
	}
	return c, nil
}

// oidUserID is the attribute UID of a subject (RFC 4519, section 2.39).
var oidUserID = asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 1}

// readNames reads what x509 leaves to others: user ids in the subject, other
// names among the alternative names, and how many names there are at all.
func (c *CSR) readNames() error {
	for _, a := range c.request.Subject.Names {
		if v, ok := a.Value.(string); ok && a.Type.Equal(oidUserID) {
			c.userIDs = append(c.userIDs, v)
		}
	}
	r := c.request
	known := len(r.DNSNames) + len(r.EmailAddresses) + len(r.IPAddresses) + len(r.URIs)
	for _, e := range r.Extensions {
		if e.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 17}) {
			if err := c.readOtherNames(e.Value); err != nil {
				return err
			}
		}
	}
	if names := known + len(c.otherNames) + c.unread + len(c.userIDs); names > maxNames {
		return refuse("csr: %d names are asked for, where %d are possible", names, maxNames)
	}
	return nil
}

// readOtherNames reads the otherNames of a subjectAltName extension; the value
// of each must be a UTF-8 string, the only kind that a role can allow.
func (c *CSR) readOtherNames(value []byte) error {
	in := cryptobyte.String(value)
	var names cryptobyte.String
	if !in.ReadASN1(&names, cbasn1.SEQUENCE) || !in.Empty() {
		return refuse("certificate request could not be parsed: malformed subject alternative name")
	}
	for !names.Empty() {
		var name cryptobyte.String
		var tag cbasn1.Tag
		if !names.ReadAnyASN1(&name, &tag) {
			return refuse("certificate request could not be parsed: malformed subject alternative name")
		}
		switch tag &^ 0xa0 {
		case 0:
			if o, ok := readOtherName(name); ok {
				c.otherNames = append(c.otherNames, o)
				continue
			}
			c.unread++
		case 1, 2, 6, 7: // read by x509
		default:
			c.unread++
		}
	}
	return nil
}

// readOtherName reads an OtherName's content if its value is a UTF8String.
func readOtherName(in cryptobyte.String) (issuance.OtherName, bool) {
	var o issuance.OtherName
	var wrapped, text cryptobyte.String
	if !in.ReadASN1ObjectIdentifier(&o.Type) ||
		!in.ReadASN1(&wrapped, cbasn1.Tag(0).ContextSpecific().Constructed()) || !in.Empty() ||
		!wrapped.ReadASN1(&text, cbasn1.UTF8String) || !wrapped.Empty() {
		return o, false
	}
	o.Value = string(bytes.Clone(text))
	return o, true
}
