package issuance

import (
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// tbsCertificate is a TBSCertificate of version 3 (RFC 5280, section 4.1.2),
// its parts encoded already where they are the same for many certificates.
//
// It is encoded here and not by x509.CreateCertificate, which takes five times
// as long and only comes to light with a signature; so the bytes are known,
// parsed and checked before the key is asked. A test holds the two encoders to
// the same bytes.
type tbsCertificate struct {
	serial              *big.Int
	algorithm           []byte // AlgorithmIdentifier
	issuer, subject     []byte // Name
	notBefore, notAfter time.Time
	publicKey           []byte // SubjectPublicKeyInfo
	extensions          []pkix.Extension
}

func (t *tbsCertificate) encode() ([]byte, error) {
	b := cryptobyte.NewBuilder(make([]byte, 0, 1024))
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
			b.AddASN1Int64(2) // v3
		})
		b.AddASN1BigInt(t.serial)
		b.AddBytes(t.algorithm)
		b.AddBytes(t.issuer)
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			addTime(b, t.notBefore)
			addTime(b, t.notAfter)
		})
		b.AddBytes(t.subject)
		b.AddBytes(t.publicKey)
		addExtensions(b, t.extensions)
	})
	der, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("encode certificate: %w", err)
	}
	return der, nil
}

// addTime writes a Time: UTCTime to the end of 2049, then GeneralizedTime, both
// in Zulu with seconds (RFC 5280, section 4.1.2.5).
func addTime(b *cryptobyte.Builder, t time.Time) {
	t = t.UTC()
	if t.Year() < 1950 || t.Year() > 9999 {
		b.SetError(fmt.Errorf("the year %d cannot be written in a certificate", t.Year()))
		return
	}
	if t.Year() < 2050 {
		b.AddASN1UTCTime(t)
		return
	}
	b.AddASN1GeneralizedTime(t)
}

// addExtensions writes a certificate's extensions.
func addExtensions(b *cryptobyte.Builder, extensions []pkix.Extension) {
	addExtensionList(b, 3, extensions)
}

// addExtensionList writes extensions under an explicit tag.
func addExtensionList(b *cryptobyte.Builder, tag uint8, extensions []pkix.Extension) {
	b.AddASN1(asn1.Tag(tag).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) { addExtensionSequence(b, extensions) })
}

func addExtensionSequence(b *cryptobyte.Builder, extensions []pkix.Extension) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, e := range extensions {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(e.Id)
				if e.Critical { // DEFAULT FALSE is left out
					b.AddASN1Boolean(true)
				}
				b.AddASN1OctetString(e.Value)
			})
		}
	})
}

// assemble joins a TBSCertificate with its signature (RFC 5280, section 4.1.1).
func assemble(tbs, algorithm, signature []byte) ([]byte, error) {
	b := cryptobyte.NewBuilder(make([]byte, 0, len(tbs)+len(algorithm)+len(signature)+16))
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(tbs)
		b.AddBytes(algorithm)
		b.AddASN1BitString(signature)
	})
	return b.Bytes()
}

// publicKeyBits returns the value of a SubjectPublicKeyInfo's BIT STRING, of
// which key identifiers are made.
func publicKeyBits(spki []byte) ([]byte, error) {
	in := cryptobyte.String(spki)
	var info, algorithm cryptobyte.String
	var bits []byte
	if !in.ReadASN1(&info, asn1.SEQUENCE) || !info.ReadASN1(&algorithm, asn1.SEQUENCE) || !info.ReadASN1BitStringAsBytes(&bits) {
		return nil, errors.New("malformed SubjectPublicKeyInfo")
	}
	return bits, nil
}
