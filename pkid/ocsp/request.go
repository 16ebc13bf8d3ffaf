package ocsp

import (
	"crypto"
	_ "crypto/sha1" // for CertIDs, as most clients make them
	_ "crypto/sha256"
	_ "crypto/sha512"
	"encoding/asn1"
	"errors"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// MaxRequest is how long a query may be, in octets. Vault allows 2,048; a
// signed query brings certificates along.
const MaxRequest = 8 << 10

// maxCerts bounds the certificates of one query: each is a look into the store.
const maxCerts = 32

// maxNonce is how long a nonce may be (RFC 9654, section 2.1).
const maxNonce = 128

// maxSerial is how long the INTEGER of a serial number may be; what is longer
// than 20 octets was never issued, and is answered as such.
const maxSerial = 64

// request is a parsed query. Its slices point into the octets parsed.
type request struct {
	certs []certID
	// nonce is the value of the nonce extension, an OCTET STRING; nil without.
	nonce []byte
}

// certID names a certificate by its issuer and serial number (RFC 6960, section
// 4.1.1).
type certID struct {
	raw               []byte // its DER, which the answer repeats
	hash              crypto.Hash
	nameHash, keyHash []byte
	// serial is the number's octets without leading zeros; nil for a number
	// that no certificate has.
	serial []byte
}

var (
	oidNonce = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 2}

	hashOIDs = map[string]crypto.Hash{
		"1.3.14.3.2.26":          crypto.SHA1,
		"2.16.840.1.101.3.4.2.1": crypto.SHA256,
		"2.16.840.1.101.3.4.2.2": crypto.SHA384,
		"2.16.840.1.101.3.4.2.3": crypto.SHA512,
	}

	tagVersion       = cbasn1.Tag(0).ContextSpecific().Constructed()
	tagRequestorName = cbasn1.Tag(1).ContextSpecific().Constructed()
	tagExtensions    = cbasn1.Tag(2).ContextSpecific().Constructed()
	tagSignature     = cbasn1.Tag(0).ContextSpecific().Constructed()
	tagSingle        = cbasn1.Tag(0).ContextSpecific().Constructed()
)

var errMalformed = errors.New("malformed OCSP request")

// parseRequest reads an OCSPRequest (RFC 6960, section 4.1.1), whole. The
// requestor's name and the signature are looked over and not used: everybody is
// answered alike.
func parseRequest(der []byte) (*request, error) {
	in := cryptobyte.String(der)
	var outer, tbs, list cryptobyte.String
	if len(der) > MaxRequest || !in.ReadASN1(&outer, cbasn1.SEQUENCE) || !in.Empty() ||
		!outer.ReadASN1(&tbs, cbasn1.SEQUENCE) || !outer.SkipOptionalASN1(tagSignature) || !outer.Empty() {
		return nil, errMalformed
	}
	var version cryptobyte.String
	var versioned bool
	if !tbs.ReadOptionalASN1(&version, &versioned, tagVersion) || versioned && string(version) != "\x02\x01\x00" {
		return nil, errMalformed
	}
	if !tbs.SkipOptionalASN1(tagRequestorName) || !tbs.ReadASN1(&list, cbasn1.SEQUENCE) {
		return nil, errMalformed
	}
	req := &request{}
	for !list.Empty() {
		id, ok := readRequest(&list)
		if !ok || len(req.certs) == maxCerts {
			return nil, errMalformed
		}
		req.certs = append(req.certs, id)
	}
	var ok bool
	if req.nonce, ok = readExtensions(&tbs, tagExtensions); !ok || !tbs.Empty() || len(req.certs) == 0 {
		return nil, errMalformed
	}
	return req, nil
}

// readRequest reads one Request. A nonce has no place in its extensions, and is
// one that is not known there.
func readRequest(list *cryptobyte.String) (id certID, ok bool) {
	var body cryptobyte.String
	if !list.ReadASN1(&body, cbasn1.SEQUENCE) {
		return id, false
	}
	if id, ok = readCertID(&body); !ok {
		return id, false
	}
	nonce, ok := readExtensions(&body, tagSingle)
	return id, ok && nonce == nil && body.Empty()
}

func readCertID(in *cryptobyte.String) (id certID, ok bool) {
	var element, body, algorithm cryptobyte.String
	var oid asn1.ObjectIdentifier
	if !in.ReadASN1Element(&element, cbasn1.SEQUENCE) {
		return id, false
	}
	id.raw = element
	if !element.ReadASN1(&body, cbasn1.SEQUENCE) || !body.ReadASN1(&algorithm, cbasn1.SEQUENCE) ||
		!algorithm.ReadASN1ObjectIdentifier(&oid) || !algorithm.Empty() && string(algorithm) != "\x05\x00" {
		return id, false
	}
	var nameHash, keyHash, serial cryptobyte.String
	if !body.ReadASN1(&nameHash, cbasn1.OCTET_STRING) || !body.ReadASN1(&keyHash, cbasn1.OCTET_STRING) ||
		!body.ReadASN1(&serial, cbasn1.INTEGER) || !body.Empty() {
		return id, false
	}
	id.hash, id.nameHash, id.keyHash = hashOIDs[oid.String()], nameHash, keyHash
	if id.hash != 0 && (len(nameHash) != id.hash.Size() || len(keyHash) != id.hash.Size()) {
		return id, false
	}
	id.serial, ok = readSerial(serial)
	return id, ok
}

// readSerial takes the contents of an INTEGER in DER. It gives nil for one that
// is not positive or longer than 20 octets.
func readSerial(in []byte) (octets []byte, ok bool) {
	if len(in) == 0 || len(in) > maxSerial || len(in) > 1 && (in[0] == 0 && in[1] < 0x80 || in[0] == 0xff && in[1] >= 0x80) {
		return nil, false
	}
	if in[0] == 0 {
		in = in[1:]
	} else if in[0] >= 0x80 {
		return nil, true
	}
	if len(in) == 0 || len(in) > 20 {
		return nil, true
	}
	return in, true
}

// readExtensions reads optional extensions and gives the nonce among them. One
// that is critical and not known here makes the query one that cannot be
// answered (RFC 6960, section 4.4); others do not matter.
func readExtensions(in *cryptobyte.String, tag cbasn1.Tag) (nonce []byte, ok bool) {
	var wrapped, list cryptobyte.String
	var present bool
	if !in.ReadOptionalASN1(&wrapped, &present, tag) {
		return nil, false
	}
	if !present {
		return nil, true
	}
	if !wrapped.ReadASN1(&list, cbasn1.SEQUENCE) || !wrapped.Empty() {
		return nil, false
	}
	for !list.Empty() {
		var body, value cryptobyte.String
		var oid asn1.ObjectIdentifier
		critical := false
		if !list.ReadASN1(&body, cbasn1.SEQUENCE) || !body.ReadASN1ObjectIdentifier(&oid) ||
			body.PeekASN1Tag(cbasn1.BOOLEAN) && !body.ReadASN1Boolean(&critical) ||
			!body.ReadASN1(&value, cbasn1.OCTET_STRING) || !body.Empty() {
			return nil, false
		}
		switch {
		case oid.Equal(oidNonce):
			if nonce != nil || !soundNonce(value) {
				return nil, false
			}
			nonce = value
		case critical:
			return nil, false
		}
	}
	return nonce, true
}

// soundNonce reports whether value is an OCTET STRING of 1 to 128 octets.
func soundNonce(value cryptobyte.String) bool {
	var octets cryptobyte.String
	return value.ReadASN1(&octets, cbasn1.OCTET_STRING) && value.Empty() && len(octets) > 0 && len(octets) <= maxNonce
}
