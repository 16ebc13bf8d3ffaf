package role_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/hsmpki/hsmpki/pkid/role"
)

// The short names of testdata/fields.txt.
var (
	attributes = map[string]string{
		"2.5.4.3": "CN", "2.5.4.5": "serialNumber", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.9": "street",
		"2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.17": "postalCode", "0.9.2342.19200300.100.1.1": "UID",
	}
	usageNames = []string{
		"digitalSignature", "contentCommitment", "keyEncipherment", "dataEncipherment", "keyAgreement", "certSign", "crlSign", "encipherOnly", "decipherOnly",
	}
	purposes = map[string]string{
		"2.5.29.37.0": "any", "1.3.6.1.5.5.7.3.1": "serverAuth", "1.3.6.1.5.5.7.3.2": "clientAuth", "1.3.6.1.5.5.7.3.3": "codeSigning",
		"1.3.6.1.5.5.7.3.4": "emailProtection", "1.3.6.1.5.5.7.3.8": "timeStamping",
	}
)

// factsOf says what a certificate says, a word for each.
func factsOf(t *testing.T, c *x509.Certificate) []string {
	t.Helper()
	facts := []string{
		"life=" + short(c.NotAfter.Sub(now)), "back=" + short(now.Sub(c.NotBefore)), "end=" + c.NotAfter.UTC().Format(time.RFC3339),
		"key=" + keyName(c.PublicKey),
	}
	for _, a := range c.Subject.Names {
		facts = append(facts, fmt.Sprintf("%s=%v", attributes[a.Type.String()], a.Value))
	}
	replace := strings.NewReplacer("DNSName:", "DNS:", "RFC822Name:", "email:", "IPAddress:", "IP:", "UniformResourceIdentifier:", "URI:")
	for _, n := range alternativeNames(c) {
		if !strings.HasPrefix(n, "OtherName:") {
			facts = append(facts, replace.Replace(n))
		}
	}
	var usages, extended, policies []string
	for i, name := range usageNames {
		if c.KeyUsage&(1<<i) != 0 {
			usages = append(usages, name)
		}
	}
	for _, oid := range extendedKeyUsages(c) {
		if name, ok := purposes[oid]; ok {
			oid = name
		}
		extended = append(extended, oid)
	}
	for _, p := range c.Policies {
		policies = append(policies, p.String())
	}
	facts = append(facts, "ku="+strings.Join(usages, ","), "eku="+strings.Join(extended, ","), "policies="+strings.Join(policies, ","))
	if c.BasicConstraintsValid {
		facts = append(facts, fmt.Sprint("bc=", c.IsCA))
	}
	for _, e := range c.Extensions {
		facts = append(facts, texts(e)...)
	}
	return facts
}

// texts reads other names, and the qualifiers of policies, out of an extension.
func texts(e pkix.Extension) (facts []string) {
	var list []asn1.RawValue
	if _, err := asn1.Unmarshal(e.Value, &list); err != nil {
		return nil
	}
	for _, v := range list {
		in := cryptobyte.String(v.Bytes)
		var id asn1.ObjectIdentifier
		switch {
		case e.Id.String() == "2.5.29.17" && v.Tag == 0:
			var wrapped, text cryptobyte.String
			if in.ReadASN1ObjectIdentifier(&id) && in.ReadASN1(&wrapped, cbasn1.Tag(0).ContextSpecific().Constructed()) && wrapped.ReadASN1(&text, cbasn1.UTF8String) {
				facts = append(facts, fmt.Sprintf("other:%s=%s", id, text))
			}
		case e.Id.String() == "2.5.29.32":
			var all, one, notice, text cryptobyte.String
			if !in.ReadASN1ObjectIdentifier(&id) || !in.ReadASN1(&all, cbasn1.SEQUENCE) {
				continue
			}
			for all.ReadASN1(&one, cbasn1.SEQUENCE) && one.ReadASN1ObjectIdentifier(&id) {
				if one.PeekASN1Tag(cbasn1.IA5String) && one.ReadASN1(&text, cbasn1.IA5String) {
					facts = append(facts, "cps="+string(text))
				} else if one.ReadASN1(&notice, cbasn1.SEQUENCE) && notice.ReadASN1(&text, cbasn1.UTF8String) {
					facts = append(facts, "notice="+string(text))
				}
			}
		}
	}
	return facts
}

func short(d time.Duration) string {
	text := strings.TrimSuffix(d.String(), "0s")
	if text = strings.TrimSuffix(text, "h0m"); text != d.String() && !strings.HasSuffix(text, "m") && !strings.HasSuffix(text, "s") {
		text += "h"
	}
	if d < time.Minute {
		return d.String()
	}
	return text
}

func keyName(public any) string {
	switch key := public.(type) {
	case *rsa.PublicKey:
		return fmt.Sprint("rsa", key.N.BitLen())
	case *ecdsa.PublicKey:
		return fmt.Sprint("ec", key.Curve.Params().BitSize)
	case ed25519.PublicKey:
		return "ed25519"
	}
	return "?"
}

// wordsCSR makes a CSR of words.
func wordsCSR(t *testing.T, words []string) *role.CSR {
	t.Helper()
	template := &x509.CertificateRequest{}
	key := "ec256"
	for _, w := range words {
		name, value, _ := strings.Cut(w, "=")
		switch kind, text, _ := strings.Cut(w, ":"); {
		case name == "key":
			key = strings.Replace(value, "ed25519", "ed255190", 1)
		case name == "cn":
			template.Subject.CommonName = value
		case name == "serialNumber":
			template.Subject.SerialNumber = value
		case name == "O":
			template.Subject.Organization = append(template.Subject.Organization, value)
		case name == "UID":
			template.Subject.ExtraNames = append(template.Subject.ExtraNames, pkix.AttributeTypeAndValue{Type: asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 1}, Value: value})
		case name == "ku":
			octets := map[string]string{"digitalSignature": "\x03\x02\x07\x80", "certSign": "\x03\x02\x02\x04"}[value]
			template.ExtraExtensions = append(template.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 15}, Critical: true, Value: []byte(octets)})
		case name == "bc":
			octets := map[string]string{"false": "\x30\x00", "true": "\x30\x03\x01\x01\xff"}[value]
			template.ExtraExtensions = append(template.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 19}, Critical: true, Value: []byte(octets)})
		default:
			addAlternative(template, map[string]string{"DNS": "DNSName", "email": "RFC822Name", "IP": "IPAddress", "URI": "UniformResourceIdentifier"}[kind]+":"+text)
		}
	}
	csr, err := role.ParseCSR(makeCSR(t, template, leafKeys()[key]))
	if err != nil {
		t.Fatal(err)
	}
	return csr
}
