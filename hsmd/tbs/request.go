package tbs

import (
	"bytes"

	"golang.org/x/crypto/cryptobyte"
)

// idExtensionRequest is 1.2.840.113549.1.9.14 (RFC 2985, section 5.4.2).
const idExtensionRequest = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0e"

// request reads what follows the version of a CertificationRequestInfo (RFC
// 2986, section 4.1). The attributes, empty or not, are always there.
func (p *parser) request() error {
	var err error
	if p.sum.Subject, err = p.name("the subject"); err != nil {
		return err
	}
	if err := p.publicKey(); err != nil {
		return err
	}
	attributes, err := p.in.want(tagContext0, maxField, "the set of attributes")
	if err != nil {
		return err
	}
	var before []byte
	var seen [][]byte
	for set := attributes.body; !set.Empty(); {
		attribute, ok := takeWhole(&set)
		if !ok || attribute.tag != tagSequence {
			return malformed("has a malformed attribute")
		}
		// SET OF is in ascending order (X.690, section 11.6).
		if bytes.Compare(before, attribute.der) > 0 {
			return malformed("has attributes that are not in DER's order")
		}
		before = attribute.der
		id, err := p.attribute(attribute.body)
		if err != nil {
			return err
		}
		for _, other := range seen {
			if bytes.Equal(other, id) {
				return malformed("has the same attribute twice")
			}
		}
		if seen = append(seen, id); len(seen) > maxExts {
			return malformed("has more than %d attributes", maxExts)
		}
	}
	return nil
}

func (p *parser) attribute(body cryptobyte.String) (id []byte, err error) {
	id, ok := take(&body, tagOID)
	if !ok || !objectIdentifier(id) {
		return nil, malformed("has an attribute without an object identifier")
	}
	values, ok := take(&body, tagSet)
	if !ok || !body.Empty() || values.Empty() {
		return nil, malformed("has an attribute without a value")
	}
	if string(id) == idExtensionRequest {
		if p.sum.Extensions, err = readExtensions(values); err != nil {
			return nil, err
		}
		return id, nil
	}
	for !values.Empty() {
		if !anyValue(&values, maxDepth) {
			return nil, malformed("has an attribute whose value is not DER")
		}
	}
	return id, nil
}
