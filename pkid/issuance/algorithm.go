package issuance

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/mldsa"
	"crypto/rsa"
	"crypto/x509"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// signatureAlgorithm is what a key signs with. Of RSA the hash can be chosen
// (bits: 256, 384, 512; 0 is 256) and the padding; a curve fixes its hash
// (RFC 5758 with the usual pairing, which hsmd's schemes share), and Ed25519
// and ML-DSA have none that could be chosen.
func signatureAlgorithm(key crypto.PublicKey, bits int, pss bool) (x509.SignatureAlgorithm, error) {
	switch key := key.(type) {
	case *rsa.PublicKey:
		return rsaAlgorithm(bits, pss)
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P256():
			return x509.ECDSAWithSHA256, nil
		case elliptic.P384():
			return x509.ECDSAWithSHA384, nil
		case elliptic.P521():
			return x509.ECDSAWithSHA512, nil
		}
		return 0, fmt.Errorf("no signature algorithm for the curve %s", key.Curve.Params().Name)
	case ed25519.PublicKey:
		return x509.PureEd25519, nil
	case *mldsa.PublicKey:
		switch key.Parameters() {
		case mldsa.MLDSA44():
			return x509.MLDSA44, nil
		case mldsa.MLDSA65():
			return x509.MLDSA65, nil
		case mldsa.MLDSA87():
			return x509.MLDSA87, nil
		}
	}
	return 0, fmt.Errorf("no signature algorithm for a key of type %T", key)
}

func rsaAlgorithm(bits int, pss bool) (x509.SignatureAlgorithm, error) {
	switch {
	case (bits == 0 || bits == 256) && pss:
		return x509.SHA256WithRSAPSS, nil
	case bits == 384 && pss:
		return x509.SHA384WithRSAPSS, nil
	case bits == 512 && pss:
		return x509.SHA512WithRSAPSS, nil
	case bits == 0 || bits == 256:
		return x509.SHA256WithRSA, nil
	case bits == 384:
		return x509.SHA384WithRSA, nil
	case bits == 512:
		return x509.SHA512WithRSA, nil
	}
	return 0, Refuse("unsupported signature algorithm: %d", bits)
}

// signerOptions is what crypto.SignMessage wants to hear for an algorithm.
func signerOptions(alg x509.SignatureAlgorithm) crypto.SignerOpts {
	switch alg {
	case x509.SHA256WithRSA, x509.ECDSAWithSHA256:
		return crypto.SHA256
	case x509.SHA384WithRSA, x509.ECDSAWithSHA384:
		return crypto.SHA384
	case x509.SHA512WithRSA, x509.ECDSAWithSHA512:
		return crypto.SHA512
	case x509.SHA256WithRSAPSS:
		return &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
	case x509.SHA384WithRSAPSS:
		return &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA384}
	case x509.SHA512WithRSAPSS:
		return &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA512}
	}
	return crypto.Hash(0) // Ed25519 and ML-DSA sign the message itself
}

// algorithmDER holds the AlgorithmIdentifier of each algorithm (RFC 4055,
// section 5 for PKCS #1 v1.5 and 3.1 for PSS; RFC 5758, section 3.2; RFC 8410,
// section 3; RFC 9881, section 2). PSS has MGF1 with the same hash and a salt of its length.
var algorithmDER = map[x509.SignatureAlgorithm][]byte{
	x509.SHA256WithRSA:    []byte("\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b\x05\x00"),
	x509.SHA384WithRSA:    []byte("\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c\x05\x00"),
	x509.SHA512WithRSA:    []byte("\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d\x05\x00"),
	x509.SHA256WithRSAPSS: pssDER(1, 32),
	x509.SHA384WithRSAPSS: pssDER(2, 48),
	x509.SHA512WithRSAPSS: pssDER(3, 64),
	x509.ECDSAWithSHA256:  []byte("\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02"),
	x509.ECDSAWithSHA384:  []byte("\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03"),
	x509.ECDSAWithSHA512:  []byte("\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x04"),
	x509.PureEd25519:      []byte("\x30\x05\x06\x03\x2b\x65\x70"),
	x509.MLDSA44:          []byte("\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x03\x11"),
	x509.MLDSA65:          []byte("\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x03\x12"),
	x509.MLDSA87:          []byte("\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x03\x13"),
}

// dummySignature has the length and form of a signature by a key, and is none:
// for those who look at a certificate or CRL before it is signed. One of ECDSA
// (RFC 3279, section 2.2.3) can be up to two octets longer, or shorter.
func dummySignature(key crypto.PublicKey) ([]byte, error) {
	switch key := key.(type) {
	case *rsa.PublicKey:
		return make([]byte, key.Size()), nil
	case *ecdsa.PublicKey:
		half := bytes.Repeat([]byte{1}, (key.Curve.Params().N.BitLen()+7)/8)
		b := cryptobyte.NewBuilder(nil)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.INTEGER, func(b *cryptobyte.Builder) { b.AddBytes(half) })
			b.AddASN1(cbasn1.INTEGER, func(b *cryptobyte.Builder) { b.AddBytes(half) })
		})
		return b.Bytes()
	case ed25519.PublicKey:
		return make([]byte, ed25519.SignatureSize), nil
	case *mldsa.PublicKey:
		return make([]byte, key.Parameters().SignatureSize()), nil
	}
	return nil, fmt.Errorf("no signature for a key of type %T", key)
}

// pssDER is id-RSASSA-PSS with its parameters; sha is the last arc of NIST's
// OID of the hash (2.16.840.1.101.3.4.2.x).
func pssDER(sha, salt byte) []byte {
	hash := "\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02" + string(rune(sha)) + "\x05\x00"
	return []byte("\x30\x41\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a\x30\x34" +
		"\xa0\x0f" + hash +
		"\xa1\x1c\x30\x1a\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08" + hash +
		"\xa2\x03\x02\x01" + string(rune(salt)))
}
