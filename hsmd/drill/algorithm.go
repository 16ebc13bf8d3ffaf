package drill

import (
	"crypto/x509/pkix"
	"encoding/asn1"

	"github.com/hsmpki/hsmpki/wire"
)

var (
	null       = asn1.NullRawValue
	algorithms = map[wire.SignatureScheme]pkix.AlgorithmIdentifier{
		wire.RSAPKCS1SHA256:  {Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}, Parameters: null},
		wire.RSAPKCS1SHA384:  {Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 12}, Parameters: null},
		wire.RSAPKCS1SHA512:  {Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 13}, Parameters: null},
		wire.RSAPSSSHA256:    pss(1, 32),
		wire.RSAPSSSHA384:    pss(2, 48),
		wire.RSAPSSSHA512:    pss(3, 64),
		wire.ECDSAP256SHA256: {Algorithm: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}},
		wire.ECDSAP384SHA384: {Algorithm: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3}},
		wire.ECDSAP521SHA512: {Algorithm: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 4}},
		wire.Ed25519:         {Algorithm: asn1.ObjectIdentifier{1, 3, 101, 112}},
		wire.MLDSA44:         {Algorithm: asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3, 17}},
		wire.MLDSA65:         {Algorithm: asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3, 18}},
		wire.MLDSA87:         {Algorithm: asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3, 19}},
	}
)

// pss is RSASSA-PSS with one of SHA-2's hashes, MGF1 with the same, and a salt as
// long (RFC 4055, section 3.1).
func pss(sha2 byte, salt byte) pkix.AlgorithmIdentifier {
	hash := []byte{0x30, 13, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, sha2, 5, 0}
	params := append([]byte{0x30, 0x34, 0xa0, 15}, hash...)
	params = append(params, 0xa1, 28, 0x30, 26, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 8)
	params = append(append(params, hash...), 0xa2, 3, 2, 1, salt)
	return pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10}, Parameters: asn1.RawValue{FullBytes: params}}
}
