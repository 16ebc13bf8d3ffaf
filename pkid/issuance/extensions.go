package issuance

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/bits"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// The extensions of RFC 5280, sections 4.2.1 and 4.2.2.
var (
	oidSubjectKeyID        = asn1.ObjectIdentifier{2, 5, 29, 14}
	oidKeyUsage            = asn1.ObjectIdentifier{2, 5, 29, 15}
	oidSubjectAltName      = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidIssuerAltName       = asn1.ObjectIdentifier{2, 5, 29, 18}
	oidBasicConstraints    = asn1.ObjectIdentifier{2, 5, 29, 19}
	oidNameConstraints     = asn1.ObjectIdentifier{2, 5, 29, 30}
	oidCRLDistribution     = asn1.ObjectIdentifier{2, 5, 29, 31}
	oidCertificatePolicies = asn1.ObjectIdentifier{2, 5, 29, 32}
	oidPolicyMappings      = asn1.ObjectIdentifier{2, 5, 29, 33}
	oidAuthorityKeyID      = asn1.ObjectIdentifier{2, 5, 29, 35}
	oidPolicyConstraints   = asn1.ObjectIdentifier{2, 5, 29, 36}
	oidExtendedKeyUsage    = asn1.ObjectIdentifier{2, 5, 29, 37}
	oidFreshestCRL         = asn1.ObjectIdentifier{2, 5, 29, 46}
	oidInhibitAnyPolicy    = asn1.ObjectIdentifier{2, 5, 29, 54}
	oidAuthorityInfo       = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 1}
	oidAccessOCSP          = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1}
	oidAccessIssuers       = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 2}
)

// extendedKeyUsageOIDs in the order of x509's constants.
var extendedKeyUsageOIDs = map[x509.ExtKeyUsage]asn1.ObjectIdentifier{
	x509.ExtKeyUsageAny:                            {2, 5, 29, 37, 0},
	x509.ExtKeyUsageServerAuth:                     {1, 3, 6, 1, 5, 5, 7, 3, 1},
	x509.ExtKeyUsageClientAuth:                     {1, 3, 6, 1, 5, 5, 7, 3, 2},
	x509.ExtKeyUsageCodeSigning:                    {1, 3, 6, 1, 5, 5, 7, 3, 3},
	x509.ExtKeyUsageEmailProtection:                {1, 3, 6, 1, 5, 5, 7, 3, 4},
	x509.ExtKeyUsageIPSECEndSystem:                 {1, 3, 6, 1, 5, 5, 7, 3, 5},
	x509.ExtKeyUsageIPSECTunnel:                    {1, 3, 6, 1, 5, 5, 7, 3, 6},
	x509.ExtKeyUsageIPSECUser:                      {1, 3, 6, 1, 5, 5, 7, 3, 7},
	x509.ExtKeyUsageTimeStamping:                   {1, 3, 6, 1, 5, 5, 7, 3, 8},
	x509.ExtKeyUsageOCSPSigning:                    {1, 3, 6, 1, 5, 5, 7, 3, 9},
	x509.ExtKeyUsageMicrosoftServerGatedCrypto:     {1, 3, 6, 1, 4, 1, 311, 10, 3, 3},
	x509.ExtKeyUsageNetscapeServerGatedCrypto:      {2, 16, 840, 1, 113730, 4, 1},
	x509.ExtKeyUsageMicrosoftCommercialCodeSigning: {1, 3, 6, 1, 4, 1, 311, 2, 1, 22},
	x509.ExtKeyUsageMicrosoftKernelCodeSigning:     {1, 3, 6, 1, 4, 1, 311, 61, 1, 1},
}

// extension encodes one extension; the value is what fill writes.
func extension(id asn1.ObjectIdentifier, critical bool, fill func(b *cryptobyte.Builder)) (pkix.Extension, error) {
	b := cryptobyte.NewBuilder(make([]byte, 0, 128))
	fill(b)
	value, err := b.Bytes()
	if err != nil {
		return pkix.Extension{}, fmt.Errorf("extension %v: %w", id, err)
	}
	return pkix.Extension{Id: id, Critical: critical, Value: value}, nil
}

// keyUsage encodes the named bits, trailing zero bits left out as DER wants of
// a named bit list.
func keyUsage(usage x509.KeyUsage) (pkix.Extension, error) {
	octets := []byte{bits.Reverse8(byte(usage)), bits.Reverse8(byte(usage >> 8))}
	if octets[1] == 0 {
		octets = octets[:1]
	}
	unused := bits.TrailingZeros8(octets[len(octets)-1])
	return extension(oidKeyUsage, true, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.BIT_STRING, func(b *cryptobyte.Builder) {
			b.AddUint8(uint8(unused))
			b.AddBytes(octets)
		})
	})
}

func extendedKeyUsage(usages []x509.ExtKeyUsage, oids []asn1.ObjectIdentifier) (pkix.Extension, error) {
	return extension(oidExtendedKeyUsage, false, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for _, u := range usages {
				oid, ok := extendedKeyUsageOIDs[u]
				if !ok {
					b.SetError(fmt.Errorf("unknown extended key usage %d", u))
					return
				}
				b.AddASN1ObjectIdentifier(oid)
			}
			for _, oid := range oids {
				b.AddASN1ObjectIdentifier(oid)
			}
		})
	})
}

// basicConstraints encodes cA and, of a CA, the path length; -1 is none.
func basicConstraints(ca bool, pathLength int) (pkix.Extension, error) {
	return extension(oidBasicConstraints, true, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			if !ca {
				return
			}
			b.AddASN1Boolean(true)
			if pathLength >= 0 {
				b.AddASN1Int64(int64(pathLength))
			}
		})
	})
}

func subjectKeyID(id []byte) (pkix.Extension, error) {
	return extension(oidSubjectKeyID, false, func(b *cryptobyte.Builder) { b.AddASN1OctetString(id) })
}

func authorityKeyID(id []byte) (pkix.Extension, error) {
	return extension(oidAuthorityKeyID, false, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.Tag(0).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(id) })
		})
	})
}

// urlExtensions encodes the extensions that the issuer's URLs give: AIA first,
// then the two kinds of distribution points.
func urlExtensions(u URLs) (aia, crls []pkix.Extension, err error) {
	if len(u.OCSPServers)+len(u.IssuingCertificates) > 0 {
		e, err := extension(oidAuthorityInfo, false, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				addAccess(b, oidAccessOCSP, u.OCSPServers)
				addAccess(b, oidAccessIssuers, u.IssuingCertificates)
			})
		})
		if err != nil {
			return nil, nil, err
		}
		aia = append(aia, e)
	}
	for _, points := range []struct {
		id   asn1.ObjectIdentifier
		urls []string
	}{{oidCRLDistribution, u.CRLDistributionPoints}, {oidFreshestCRL, u.DeltaCRLDistributionPoints}} {
		if len(points.urls) == 0 {
			continue
		}
		e, err := distributionPoints(points.id, points.urls)
		if err != nil {
			return nil, nil, err
		}
		crls = append(crls, e)
	}
	return aia, crls, nil
}

func addAccess(b *cryptobyte.Builder, method asn1.ObjectIdentifier, urls []string) {
	for _, url := range urls {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(method)
			addIA5(b, tagURI, url)
		})
	}
}

func distributionPoints(id asn1.ObjectIdentifier, urls []string) (pkix.Extension, error) {
	context0 := cbasn1.Tag(0).ContextSpecific().Constructed()
	return extension(id, false, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for _, url := range urls {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { // DistributionPoint
					b.AddASN1(context0, func(b *cryptobyte.Builder) { // distributionPoint
						b.AddASN1(context0, func(b *cryptobyte.Builder) { // fullName
							addIA5(b, tagURI, url)
						})
					})
				})
			}
		})
	})
}
