package constraint

import (
	"slices"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/hsmpki/hsmpki/hsmd/tbs"
)

// known are the extensions that hsmd lets be critical: to the others nobody
// knows what they would do.
var known = map[tbs.Kind]map[string]bool{
	tbs.Certificate: {idSubjectKeyID: true, idKeyUsage: true, idSubjectAltName: true, idBasic: true, idNameConstraints: true, idCRLPoints: true,
		idPolicies: true, idPolicyMappings: true, idAuthorityKeyID: true, idPolicyLimits: true, idUsages: true, idInhibitAny: true,
		idAuthorityInfo: true, idTLSFeature: true},
	tbs.RevocationList: {idCRLNumber: true, idDeltaCRL: true, idDistribution: true, idAuthorityKeyID: true},
}

// readable refuses what not everybody reads alike: critical extensions that hsmd
// does not know, and malformed ones that the rules go by.
func (s *Set) readable(m *tbs.Summary) error {
	if m.Kind == tbs.Request {
		return nil // what it asks for is for its CA to judge
	}
	for _, e := range m.Extensions {
		if e.Critical && !known[m.Kind][string(e.ID)] && !s.extensions.has(e.ID) {
			return s.refuse("permitted_extensions", "extension %s is critical, and neither known to hsmd nor listed", dotted(e.ID))
		}
		if m.Kind == tbs.Certificate && !wellFormed(string(e.ID), e.Value) {
			return s.refuse("extensions", "extension %s is malformed", dotted(e.ID))
		}
	}
	return nil
}

func wellFormed(id string, value []byte) bool {
	switch id {
	case idKeyUsage:
		_, ok := bitString(value)
		return ok
	case idUsages:
		return sequenceOfOIDs(value) != nil
	case idPolicies:
		return policies(value) != nil
	case idSubjectAltName:
		return generalNames(value) != nil
	case idAuthorityKeyID:
		_, ok := authorityKeyID(value)
		return ok
	}
	return true
}

// bitString reads a BIT STRING of named bits: without trailing zeros (X.690,
// section 11.2.2), and gives its first octet.
func bitString(value []byte) (first byte, ok bool) {
	in := cryptobyte.String(value)
	var body cryptobyte.String
	if !in.ReadASN1(&body, asn1.BIT_STRING) || !in.Empty() || len(body) < 2 || len(body) > 3 || body[0] > 7 {
		return 0, false
	}
	last := body[len(body)-1]
	return body[1], last>>body[0]&1 == 1 && last&(1<<body[0]-1) == 0
}

// sequenceOfOIDs reads a SEQUENCE of object identifiers, none of them twice; nil
// if it is none, or empty.
func sequenceOfOIDs(value []byte) (all [][]byte) {
	in := cryptobyte.String(value)
	var list cryptobyte.String
	if !in.ReadASN1(&list, asn1.SEQUENCE) || !in.Empty() {
		return nil
	}
	for !list.Empty() {
		var id cryptobyte.String
		if !list.ReadASN1(&id, asn1.OBJECT_IDENTIFIER) || dotted(id) == "?" || containsOID(all, id) {
			return nil
		}
		all = append(all, id)
	}
	return all
}

// policies reads the identifiers of certificatePolicies (RFC 5280, section
// 4.2.1.4); nil if it is malformed.
func policies(value []byte) (all [][]byte) {
	in := cryptobyte.String(value)
	var list cryptobyte.String
	if !in.ReadASN1(&list, asn1.SEQUENCE) || !in.Empty() {
		return nil
	}
	for !list.Empty() {
		var info, id, qualifiers cryptobyte.String
		var qualified bool
		if !list.ReadASN1(&info, asn1.SEQUENCE) || !info.ReadASN1(&id, asn1.OBJECT_IDENTIFIER) || dotted(id) == "?" ||
			!info.ReadOptionalASN1(&qualifiers, &qualified, asn1.SEQUENCE) || !info.Empty() || containsOID(all, id) {
			return nil
		}
		all = append(all, id)
	}
	return all
}

func containsOID(list [][]byte, id []byte) bool {
	return slices.ContainsFunc(list, func(other []byte) bool { return string(other) == string(id) })
}

// authorityKeyID reads keyIdentifier of an authorityKeyIdentifier (RFC 5280,
// section 4.2.1.1), nil where there is none.
func authorityKeyID(value []byte) (id []byte, ok bool) {
	in := cryptobyte.String(value)
	var body, keyID, rest cryptobyte.String
	var there bool
	if !in.ReadASN1(&body, asn1.SEQUENCE) || !in.Empty() || !body.ReadOptionalASN1(&keyID, &there, asn1.Tag(0).ContextSpecific()) {
		return nil, false
	}
	// Issuer and serial number may follow, which nobody goes by.
	if !body.ReadOptionalASN1(&rest, nil, asn1.Tag(1).ContextSpecific().Constructed()) ||
		!body.ReadOptionalASN1(&rest, nil, asn1.Tag(2).ContextSpecific()) {
		return nil, false
	}
	return keyID, body.Empty()
}
