package tbs

import "github.com/hsmpki/hsmpki/wire"

// algorithms holds for each scheme the one DER of its AlgorithmIdentifier that
// a certificate or CRL may name: RSA with NULL parameters (RFC 4055, section
// 5), PSS with all of its parameters stated and a salt as long as the hash
// (section 3.1), ECDSA, Ed25519 and ML-DSA without any (RFC 5758, section 3.2;
// RFC 8410, section 3; RFC 9881, section 2).
var algorithms = map[wire.SignatureScheme]string{
	wire.RSAPKCS1SHA256:  "\x30\x0d\x06\x09" + oidPKCS1 + "\x0b\x05\x00",
	wire.RSAPKCS1SHA384:  "\x30\x0d\x06\x09" + oidPKCS1 + "\x0c\x05\x00",
	wire.RSAPKCS1SHA512:  "\x30\x0d\x06\x09" + oidPKCS1 + "\x0d\x05\x00",
	wire.RSAPSSSHA256:    pss("\x01", "\x20"),
	wire.RSAPSSSHA384:    pss("\x02", "\x30"),
	wire.RSAPSSSHA512:    pss("\x03", "\x40"),
	wire.ECDSAP256SHA256: "\x30\x0a\x06\x08" + oidECDSASHA2 + "\x02",
	wire.ECDSAP384SHA384: "\x30\x0a\x06\x08" + oidECDSASHA2 + "\x03",
	wire.ECDSAP521SHA512: "\x30\x0a\x06\x08" + oidECDSASHA2 + "\x04",
	wire.Ed25519:         "\x30\x05\x06\x03\x2b\x65\x70",
	wire.MLDSA44:         "\x30\x0b\x06\x09" + oidNISTSigs + "\x11",
	wire.MLDSA65:         "\x30\x0b\x06\x09" + oidNISTSigs + "\x12",
	wire.MLDSA87:         "\x30\x0b\x06\x09" + oidNISTSigs + "\x13",
}

// Object identifiers without their last arc.
const (
	oidPKCS1     = "\x2a\x86\x48\x86\xf7\x0d\x01\x01" // 1.2.840.113549.1.1
	oidECDSASHA2 = "\x2a\x86\x48\xce\x3d\x04\x03"     // 1.2.840.10045.4.3
	oidSHA2      = "\x60\x86\x48\x01\x65\x03\x04\x02" // 2.16.840.1.101.3.4.2
	oidNISTSigs  = "\x60\x86\x48\x01\x65\x03\x04\x03" // 2.16.840.1.101.3.4.3
)

func pss(hashArc, saltLength string) string {
	hash := "\x30\x0d\x06\x09" + oidSHA2 + hashArc + "\x05\x00"
	return "\x30\x41\x06\x09" + oidPKCS1 + "\x0a" + "\x30\x34" +
		"\xa0\x0f" + hash +
		"\xa1\x1c\x30\x1a\x06\x09" + oidPKCS1 + "\x08" + hash +
		"\xa2\x03\x02\x01" + saltLength
}

// innerAlgorithm takes the AlgorithmIdentifier inside a certificate or CRL.
func (p *parser) innerAlgorithm() error {
	alg, err := p.in.want(tagSequence, maxField, "the signature algorithm")
	if err != nil {
		return err
	}
	want, ok := algorithms[p.rules.Scheme]
	if !ok {
		return forbidden("cannot be signed with %s", p.rules.Scheme)
	}
	if string(alg.der) != want {
		return forbidden("names another signature algorithm inside than %s", p.rules.Scheme)
	}
	return nil
}
