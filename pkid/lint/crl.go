package lint

import (
	"errors"

	"github.com/zmap/zcrypto/x509"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Of a CRL with more than maxEntries entries, the first and last edge of them
// and one in so many between that maxEntries in all are looked at: zlint's
// parser would need a gigabyte for a million.
const (
	maxEntries = 1000
	edge       = 250
)

// RevocationList runs the lints over a CRL that is to be signed, given as
// TBSCertList (DER) and a dummy in the place of its signature. It is as
// Certificate, but for a CRL with more than 1,000 entries, of which about that
// many are looked at: the first and last 250, and between them every nth. All
// else of the CRL is looked at whole.
func (s *Settings) RevocationList(tbs, dummy []byte) []Finding {
	if s.Mode == Off {
		return nil
	}
	return s.run(func(look *looking) error {
		der, err := excerpt(tbs, dummy)
		if err != nil {
			return err
		}
		list, err := x509.ParseRevocationList(der)
		if err != nil {
			return err
		}
		for _, l := range known().crl {
			if look.wants(l.source, l.lint.Name) {
				look.note(&l.lint.LintMetadata, l.lint.Execute(list, emptyConfig))
			}
		}
		return nil
	})
}

var errCertList = errors.New("malformed TBSCertList")

// excerpt makes a CertificateList (RFC 5280, section 5.1) of a TBSCertList and
// a signature, with those of its entries that are looked at.
func excerpt(tbs, signature []byte) ([]byte, error) {
	in := cryptobyte.String(tbs)
	var fields, algorithm, entries cryptobyte.String
	if !in.ReadASN1(&fields, asn1.SEQUENCE) || !in.Empty() {
		return nil, errCertList
	}
	rest := fields
	if !rest.SkipOptionalASN1(asn1.INTEGER) || !rest.ReadASN1Element(&algorithm, asn1.SEQUENCE) || !rest.SkipASN1(asn1.SEQUENCE) {
		return nil, errCertList
	}
	for rest.PeekASN1Tag(asn1.UTCTime) || rest.PeekASN1Tag(asn1.GeneralizedTime) {
		var t cryptobyte.String
		if !rest.ReadAnyASN1(&t, nil) {
			return nil, errCertList
		}
	}
	head := fields[:len(fields)-len(rest)]
	some := rest.PeekASN1Tag(asn1.SEQUENCE)
	if some && !rest.ReadASN1(&entries, asn1.SEQUENCE) {
		return nil, errCertList
	}
	chosen, err := choose(entries)
	if err != nil {
		return nil, err
	}
	b := cryptobyte.NewBuilder(make([]byte, 0, len(head)+len(chosen)+len(rest)+len(algorithm)+len(signature)+32))
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddBytes(head)
			if some {
				b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(chosen) })
			}
			b.AddBytes(rest)
		})
		b.AddBytes(algorithm)
		b.AddASN1BitString(signature)
	})
	return b.Bytes()
}

// choose gives the entries that are looked at, in their order.
func choose(entries cryptobyte.String) ([]byte, error) {
	count := 0
	for in := entries; !in.Empty(); count++ {
		if !in.SkipASN1(asn1.SEQUENCE) {
			return nil, errCertList
		}
	}
	if count <= maxEntries {
		return entries, nil
	}
	between := count - 2*edge
	step := (between + maxEntries - 2*edge - 1) / (maxEntries - 2*edge)
	var chosen []byte
	for i := range count {
		var e cryptobyte.String
		if !entries.ReadASN1Element(&e, asn1.SEQUENCE) {
			return nil, errCertList
		}
		if i < edge || i >= count-edge || (i-edge)%step == 0 {
			chosen = append(chosen, e...)
		}
	}
	return chosen, nil
}
