package tbs_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/hsmpki/hsmpki/hsmd/tbs"
	"github.com/hsmpki/hsmpki/wire"
)

// refusal is one message that is wrong in one place.
type refusal struct {
	what      string
	message   []byte
	reason    string // what the error ends in
	forbidden bool
}

func with(p parts, element string, der []byte) parts {
	p[element] = der
	return p
}

func TestRefusedCertificates(t *testing.T) {
	cert := func(element string, der []byte) []byte { return with(goodCertificate(t), element, der).certificate() }
	ext := func(extensions ...[]byte) []byte { return tlv(0xa3, seq(extensions...)) }
	basic := func(value []byte) []byte { return ext(extension("\x55\x1d\x13", true, value)) }
	const none = "is none of certificate (v3), CRL (v2), OCSP response and certificate request"
	const serial = "has a serial number that is not positive, or longer than 20 octets"
	const issuer = "has a malformed name as the issuer"
	run(t, []refusal{
		{"version 1, explicit", cert("version", []byte{0xa0, 3, 2, 1, 0}), none, false},
		{"version 2", cert("version", []byte{0xa0, 3, 2, 1, 1}), none, false},
		{"version absent", cert("version", nil), none, false},
		{"version absent, serial 0", with(with(goodCertificate(t), "version", nil), "serial", []byte{2, 1, 0}).certificate(), "has a malformed name as the subject", false},
		{"version absent, serial 1, algorithm of a CRL", with(with(goodCertificate(t), "version", nil), "serial", []byte{2, 1, 1}).certificate(), "has a thisUpdate that is no DER time", false},
		{"serial 0", cert("serial", []byte{2, 1, 0}), serial, false},
		{"serial negative", cert("serial", []byte{2, 1, 0x80}), serial, false},
		{"serial not minimal", cert("serial", []byte{2, 2, 0, 1}), serial, false},
		{"serial empty", cert("serial", []byte{2, 0}), serial, false},
		{"serial of 21 octets", cert("serial", tlv(2, bytes.Repeat([]byte{1}, 21))), serial, false},
		{"another hash", cert("algorithm", []byte("\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03")), "names another signature algorithm inside than ecdsa_secp256r1_sha256", true},
		{"ECDSA with NULL", cert("algorithm", []byte("\x30\x0c\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02\x05\x00")), "names another signature algorithm inside than ecdsa_secp256r1_sha256", true},
		{"empty issuer", cert("issuer", seq()), "has an empty issuer", false},
		{"issuer with an empty RDN", cert("issuer", seq(tlv(0x31))), issuer, false},
		{"issuer with an INTEGER as value", cert("issuer", seq(tlv(0x31, seq([]byte("\x06\x03\x55\x04\x03"), []byte{2, 1, 1})))), issuer, false},
		{"issuer with broken UTF-8", cert("issuer", name("\xff")), issuer, false},
		{"issuer with @ in a PrintableString", cert("issuer", seq(tlv(0x31, seq([]byte("\x06\x03\x55\x04\x03"), tlv(0x13, []byte("a@b")))))), issuer, false},
		{"issuer with half a BMPString", cert("issuer", seq(tlv(0x31, seq([]byte("\x06\x03\x55\x04\x03"), tlv(0x1e, []byte("abc")))))), issuer, false},
		{"issuer's RDN out of order", cert("issuer", seq(tlv(0x31, seq([]byte("\x06\x03\x55\x04\x0b"), tlv(0x0c, []byte("b"))), seq([]byte("\x06\x03\x55\x04\x0b"), tlv(0x0c, []byte("a")))))), issuer, false},
		{"notBefore in the future", cert("validity", seq(utc("261124120501Z"), utc("271124120000Z"))), "has a notBefore (2026-11-24T12:05:01Z) that is more than 5m0s ahead of hsmd's clock", true},
		{"notAfter before notBefore", cert("validity", seq(utc("261124120000Z"), utc("261124115959Z"))), "has a notAfter before its notBefore", false},
		{"GeneralizedTime before 2050", cert("validity", seq(utc("261124120000Z"), gen("20491231235959Z"))), "has a notAfter that is no DER time", false},
		{"UTCTime without seconds", cert("validity", seq(utc("2611241200Z"), utc("271124120000Z"))), "has a notBefore that is no DER time", false},
		{"UTCTime with an offset", cert("validity", seq(utc("261124120000+0000"), utc("271124120000Z"))), "has a notBefore that is no DER time", false},
		{"30 February", cert("validity", seq(utc("260230120000Z"), utc("271124120000Z"))), "has a notBefore that is no DER time", false},
		{"GeneralizedTime with a fraction", cert("validity", seq(utc("261124120000Z"), gen("20501231235959.5Z"))), "has a notAfter that is no DER time", false},
		{"three times", cert("validity", seq(utc("261124120000Z"), utc("271124120000Z"), utc("271124120000Z"))), "has a notAfter that is no DER time", false},
		{"key without algorithm", cert("spki", seq(seq(), []byte{3, 2, 0, 1})), "has a public key whose algorithm is malformed", false},
		{"key in an OCTET STRING", cert("spki", seq(seq([]byte("\x06\x03\x2b\x65\x70")), []byte{4, 2, 0, 1})), "has a public key that is no BIT STRING", false},
		{"key with unused bits set", cert("spki", seq(seq([]byte("\x06\x03\x2b\x65\x70")), []byte{3, 2, 1, 1})), "has a public key that is no BIT STRING", false},
		{"unique identifier", cert("extensions", []byte{0x81, 2, 0, 1}), "has tag 0x81 where the list of extensions belongs (octet", false},
		{"empty extensions", cert("extensions", ext()), "has a list of extensions that is malformed or empty", false},
		{"extension twice", cert("extensions", ext(extension("\x55\x1d\x0f", false, nil), extension("\x55\x1d\x0f", true, nil))), "has the same extension twice", false},
		{"critical FALSE written out", cert("extensions", ext(seq([]byte("\x06\x03\x55\x1d\x0f\x01\x01\x00\x04\x00")))), "has a malformed extension", false},
		{"critical TRUE as 1", cert("extensions", ext(seq([]byte("\x06\x03\x55\x1d\x0f\x01\x01\x01\x04\x00")))), "has a malformed extension", false},
		{"extension with a third element", cert("extensions", ext(seq([]byte("\x06\x03\x55\x1d\x0f\x04\x00\x05\x00")))), "has a malformed extension", false},
		{"129 extensions", cert("extensions", ext(many(129)...)), "has more than 128 extensions", false},
		{"basicConstraints not a SEQUENCE", cert("extensions", basic([]byte{5, 0})), "has malformed basicConstraints", false},
		{"cA FALSE written out", cert("extensions", basic(seq([]byte{1, 1, 0}))), "has malformed basicConstraints", false},
		{"path length without cA", cert("extensions", basic(seq([]byte{2, 1, 0}))), "has malformed basicConstraints", false},
		{"negative path length", cert("extensions", basic(seq([]byte{1, 1, 0xff, 2, 1, 0xff}))), "has malformed basicConstraints", false},
		{"octets after basicConstraints", cert("extensions", basic(append(seq(), 5, 0))), "has malformed basicConstraints", false},
		{"element after the extensions", cert("more", []byte{5, 0}), "has elements that do not belong there, from octet", false},
		{"too long", cert("extensions", ext(extension("\x2a\x03", false, make([]byte, 513<<10)))), "are allowed there", false},
		{"declared longer than it may be", []byte("\x30\x84\x00\x20\x00\x00\xa0\x03\x02\x01\x02"), "has a length that is not minimal at octet 0", false},
		{"2 MiB", append([]byte("\x30\x83\x20\x00\x00"), "\xa0\x03\x02\x01\x02"...), "is longer than 1048576 octets", false},
	})
}

func TestRefusedRevocationLists(t *testing.T) {
	crl := func(element string, der []byte) []byte {
		return with(goodRevocationList(), element, der).revocationList()
	}
	entry := func(elements ...[]byte) []byte { return crl("revoked", seq(seq(elements...))) }
	serial, date := []byte{2, 1, 5}, utc("261123120000Z")
	reason := extension("\x55\x1d\x15", false, []byte{10, 1, 1})
	number := extension("\x55\x1d\x14", false, []byte{2, 1, 2})
	run(t, []refusal{
		{"version 1", crl("version", nil), "is none of certificate (v3), CRL (v2), OCSP response and certificate request", false},
		{"version 3", crl("version", []byte{2, 1, 2}), "is none of certificate (v3), CRL (v2), OCSP response and certificate request", false},
		{"another algorithm", crl("algorithm", sha1ID), "names another signature algorithm inside than ecdsa_secp256r1_sha256", true},
		{"empty issuer", crl("issuer", seq()), "has an empty issuer", false},
		{"thisUpdate in the future", crl("this", utc("261124120501Z")), "is more than 5m0s ahead of hsmd's clock", true},
		{"thisUpdate as text", crl("this", tlv(0x0c, []byte("261124120000Z"))), "has a thisUpdate that is no DER time", false},
		{"no nextUpdate", crl("next", nil), "has no nextUpdate", true},
		{"nothing after thisUpdate", with(with(with(goodRevocationList(), "next", nil), "revoked", nil), "extensions", nil).revocationList(), "has no nextUpdate", true},
		{"nextUpdate before thisUpdate", crl("next", utc("261124115959Z")), "has a nextUpdate before its thisUpdate", false},
		{"nextUpdate in the wrong type", crl("next", gen("20261127120000Z")), "has a nextUpdate that is no DER time", false},
		{"empty list", crl("revoked", seq()), "has an empty list of revoked certificates, which must be left out", false},
		{"entry that is no SEQUENCE", crl("revoked", seq([]byte{5, 0})), "where a revoked certificate belongs (octet", false},
		{"entry without serial", entry(date), "has a revoked certificate with a malformed serial number", false},
		{"entry with a padded serial", entry([]byte{2, 2, 0, 5}, date), "has a revoked certificate with a malformed serial number", false},
		{"entry without date", entry(serial), "has a revoked certificate whose date is no DER time", false},
		{"entry with empty extensions", entry(serial, date, seq()), "has a revoked certificate with malformed extensions", false},
		{"entry with an extension twice", entry(serial, date, seq(reason, reason)), "has a revoked certificate with the same extension twice", false},
		{"entry with nine extensions", entry(serial, date, seq(many(9)...)), "has a revoked certificate with malformed or too many extensions", false},
		{"entry with a fourth element", entry(serial, date, seq(reason), []byte{5, 0}), "has a revoked certificate with malformed extensions", false},
		{"entry of 20 KiB", entry(serial, date, seq(extension("\x2a\x03", false, make([]byte, 20<<10)))), "are allowed there", false},
		{"reason 7", entry(serial, date, seq(extension("\x55\x1d\x15", false, []byte{10, 1, 7}))), "has a revoked certificate with a malformed reason", false},
		{"reason that is critical", entry(serial, date, seq(extension("\x55\x1d\x15", true, []byte{10, 1, 1}))), "has a revoked certificate with a malformed reason", false},
		{"invalidity date as UTCTime", entry(serial, date, seq(extension("\x55\x1d\x18", false, utc("261123120000Z")))), "has a revoked certificate with a malformed invalidity date", false},
		{"octets after an invalidity date", entry(serial, date, seq(extension("\x55\x1d\x18", false, append(gen("20261123120000Z"), 0)))), "has a revoked certificate with a malformed invalidity date", false},
		{"entry of another issuer", entry(serial, date, seq(extension("\x55\x1d\x1d", true, seq()))), "has a revoked certificate of another issuer (an indirect CRL)", true},
		{"no extensions", crl("extensions", nil), "has no CRL number", true},
		{"no CRL number", crl("extensions", tlv(0xa0, seq(reason))), "has no CRL number", true},
		{"negative CRL number", crl("extensions", tlv(0xa0, seq(extension("\x55\x1d\x14", false, []byte{2, 1, 0xff})))), "has a malformed CRL number", false},
		{"CRL number of 21 octets", crl("extensions", tlv(0xa0, seq(extension("\x55\x1d\x14", false, tlv(2, bytes.Repeat([]byte{1}, 21)))))), "has a malformed CRL number", false},
		{"critical CRL number", crl("extensions", tlv(0xa0, seq(extension("\x55\x1d\x14", true, []byte{2, 1, 1})))), "has a malformed CRL number", false},
		{"delta CRL that hides it", crl("extensions", tlv(0xa0, seq(number, extension("\x55\x1d\x1b", false, []byte{2, 1, 1})))), "has a malformed delta CRL indicator", false},
		{"delta CRL on itself", crl("extensions", tlv(0xa0, seq(number, extension("\x55\x1d\x1b", true, []byte{2, 1, 2})))), "is a delta CRL whose base is not before it", true},
		{"delta CRL on a later one", crl("extensions", tlv(0xa0, seq(number, extension("\x55\x1d\x1b", true, []byte{2, 2, 1, 0})))), "is a delta CRL whose base is not before it", true},
		{"extensions in another tag", crl("extensions", tlv(0xa1, seq(reason))), "where the list of extensions belongs (octet", false},
		{"extension twice", crl("extensions", tlv(0xa0, seq(reason, reason))), "has the same extension twice", false},
		{"element after the extensions", crl("more", []byte{5, 0}), "has elements that do not belong there, from octet", false},
	})
}

func TestRefusedResponses(t *testing.T) {
	ocsp := func(element string, der []byte) []byte { return with(goodResponse(), element, der).response() }
	one := func(status []byte, this, next string) []byte {
		return ocsp("responses", seq(single(status, this, next)))
	}
	const noon, later = "20261124120000Z", "20261125120000Z"
	run(t, []refusal{
		{"version written out", ocsp("version", []byte{0xa0, 3, 2, 1, 0}), "is none of certificate (v3), CRL (v2), OCSP response and certificate request", false},
		{"key hash of 32 octets", ocsp("responder", tlv(0xa2, tlv(4, make([]byte, 32)))), "has a responder key hash that is not 20 octets", false},
		{"empty responder name", ocsp("responder", tlv(0xa1, seq())), "has a malformed responder name", false},
		{"producedAt in the future", ocsp("produced", gen("20261124120501Z")), "is more than 5m0s ahead of hsmd's clock", true},
		{"producedAt as UTCTime", ocsp("produced", utc("261124120000Z")), "has tag 0x17 where producedAt belongs (octet", false},
		{"no answer", ocsp("responses", seq()), "has no answer", false},
		{"no nextUpdate", one(good, noon, ""), "has an answer without nextUpdate", true},
		{"second answer without nextUpdate", ocsp("responses", seq(single(good, noon, later), single(good, noon, ""))), "has an answer without nextUpdate", true},
		{"thisUpdate in the future", one(good, "20261124120501Z", later), "is more than 5m0s ahead of hsmd's clock", true},
		{"nextUpdate before thisUpdate", one(good, noon, "20261124115959Z"), "has an answer whose nextUpdate is no DER time, or before its thisUpdate", false},
		{"good with contents", one([]byte{0x80, 1, 0}, noon, later), "has an answer with a malformed status", false},
		{"unknown status", one([]byte{0x83, 0}, noon, later), "has an answer with a malformed status", false},
		{"revoked without a time", one(tlv(0xa1), noon, later), "has an answer with a malformed status", false},
		{"revoked for reason 7", one(tlv(0xa1, gen(noon), tlv(0xa0, []byte{10, 1, 7})), noon, later), "has an answer with a malformed status", false},
		{"certificate id without serial", ocsp("responses", seq(seq(seq(sha1ID, hash20, hash20), good, gen(noon), tlv(0xa0, gen(later))))), "has an answer with a malformed certificate id", false},
		{"certificate id with a short hash", ocsp("responses", seq(seq(seq(sha1ID, tlv(4, []byte{1}), hash20, []byte{2, 1, 1}), good, gen(noon), tlv(0xa0, gen(later))))), "has an answer with a malformed certificate id", false},
		{"extensions in another tag", ocsp("extensions", tlv(0xa0, seq(extension("\x2a\x03", false, nil)))), "where the list of extensions belongs (octet", false},
	})
}

func TestRefusedRequests(t *testing.T) {
	csr := func(element string, der []byte) []byte { return with(goodRequest(t), element, der).request() }
	challenge := seq(tlv(6, []byte("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x07")), tlv(0x31, tlv(0x0c, []byte("a"))))
	unstructured := seq(tlv(6, []byte("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x02")), tlv(0x31, tlv(0x0c, []byte("a"))))
	run(t, []refusal{
		{"version 2", csr("version", []byte{2, 1, 1}), "names another signature algorithm inside than ecdsa_secp256r1_sha256", true},
		{"no attributes", csr("attributes", nil), "ends at octet", false},
		{"attributes out of order", csr("attributes", tlv(0xa0, challenge, unstructured)), "has attributes that are not in DER's order", false},
		{"attribute twice", csr("attributes", tlv(0xa0, challenge, challenge)), "has the same attribute twice", false},
		{"attribute without value", csr("attributes", tlv(0xa0, seq(tlv(6, []byte("\x2a\x03")), tlv(0x31)))), "has an attribute without a value", false},
		{"attribute with a BER value", csr("attributes", tlv(0xa0, seq(tlv(6, []byte("\x2a\x03")), tlv(0x31, []byte{1, 1, 5})))), "has an attribute whose value is not DER", false},
		{"attribute nested too deep", csr("attributes", tlv(0xa0, seq(tlv(6, []byte("\x2a\x03")), tlv(0x31, nested(20))))), "has an attribute whose value is not DER", false},
		{"two extension requests in one", csr("attributes", tlv(0xa0, seq(tlv(6, []byte("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0e")), tlv(0x31, seq(many(1)...), seq(many(1)...))))), "has a list of extensions that is malformed or empty", false},
	})
}

func TestRefusedFrames(t *testing.T) {
	const none = "is none of certificate (v3), CRL (v2), OCSP response and certificate request"
	run(t, []refusal{
		{"nothing", nil, "ends early, at octet 0", false},
		{"a test message", append(bytes.Repeat([]byte{' '}, 64), "hsmd test signature\x00"...), "has tag 0x20 where 0x30 belongs (octet 0)", false},
		{"a digest", bytes.Repeat([]byte{0x30}, 32), none, false},
		{"an empty SEQUENCE", []byte{0x30, 0}, "ends at octet 2 with elements missing", false},
		{"a SET", []byte{0x31, 2, 5, 0}, "has tag 0x31 where 0x30 belongs (octet 0)", false},
		{"a NULL inside", []byte{0x30, 2, 5, 0}, none, false},
		{"indefinite length", []byte{0x30, 0x80, 5, 0, 0, 0}, "has a length that is indefinite or above 2^32 at octet 0", false},
		{"length of eight octets", []byte{0x30, 0x88, 0, 0, 0, 0, 0, 0, 0, 2, 5, 0}, "has a length that is indefinite or above 2^32 at octet 0", false},
		{"long form of a short length", []byte{0x30, 0x81, 2, 5, 0}, "has a length that is not minimal at octet 0", false},
		{"element reaching out", []byte{0x30, 3, 2, 2, 1}, "has an element that reaches past its SEQUENCE at octet 2", false},
		{"high tag number", []byte{0x3f, 0x21, 0}, "has a tag number above 30 at octet 0", false},
	})
}

func run(t *testing.T, refusals []refusal) {
	t.Helper()
	for _, r := range refusals {
		_, err := both(t, r.message, rules(wire.ECDSAP256SHA256))
		e, ok := errors.AsType[*tbs.Error](err)
		if !ok {
			t.Errorf("%s: accepted, or an error of another type: %v", r.what, err)
			continue
		}
		if !bytes.Contains([]byte(e.Reason), []byte(r.reason)) || e.Forbidden != r.forbidden {
			t.Errorf("%s: %q (forbidden: %v), want %q (%v)", r.what, e.Reason, e.Forbidden, r.reason, r.forbidden)
		}
	}
}

func many(n int) [][]byte {
	list := make([][]byte, n)
	for i := range list {
		list[i] = extension(string([]byte{0x2a, 3, 0x81, byte(i % 128)}), false, nil)
		if i >= 128 {
			list[i] = extension(string([]byte{0x2a, 3, 0x82, byte(i % 128)}), false, nil)
		}
	}
	return list
}

func nested(depth int) []byte {
	der := []byte{5, 0}
	for range depth {
		der = seq(der)
	}
	return der
}
