package awskms

import (
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/hsmpki/hsmpki/wire"
)

// keySpec is KMS's word for a type of key with its size. Of a definition that
// leaves the curve open it is the beginning of one.
type keySpec string

const anyECC keySpec = "ECC_NIST_P"

// specOf is what a definition says of its key.
func specOf(d *wire.AWSKMSDefinition) keySpec {
	switch d.KeyType {
	case "RSA":
		return keySpec(fmt.Sprintf("RSA_%d", d.KeyBits))
	case "ECDSA":
		return anyECC + keySpec(strings.TrimPrefix(d.Curve, "P"))
	case "Ed25519":
		return "ECC_NIST_EDWARDS25519"
	}
	return keySpec(strings.ReplaceAll(d.KeyType, "-", "_")) // ML_DSA_65
}

func (want keySpec) fits(s keySpec) bool {
	return want == s || want == anyECC && strings.HasPrefix(string(s), string(anyECC))
}

// way is how KMS signs with a scheme.
type way struct {
	scheme    wire.SignatureScheme
	algorithm types.SigningAlgorithmSpec
	message   types.MessageType
}

var rsaWays = []way{
	{wire.RSAPKCS1SHA256, types.SigningAlgorithmSpecRsassaPkcs1V15Sha256, types.MessageTypeDigest},
	{wire.RSAPKCS1SHA384, types.SigningAlgorithmSpecRsassaPkcs1V15Sha384, types.MessageTypeDigest},
	{wire.RSAPKCS1SHA512, types.SigningAlgorithmSpecRsassaPkcs1V15Sha512, types.MessageTypeDigest},
	{wire.RSAPSSSHA256, types.SigningAlgorithmSpecRsassaPssSha256, types.MessageTypeDigest},
	{wire.RSAPSSSHA384, types.SigningAlgorithmSpecRsassaPssSha384, types.MessageTypeDigest},
	{wire.RSAPSSSHA512, types.SigningAlgorithmSpecRsassaPssSha512, types.MessageTypeDigest},
}

// ways are those of each key spec. A digest is never sent as RAW, which would be
// hashed a second time.
var ways = map[keySpec][]way{
	"RSA_2048": rsaWays, "RSA_3072": rsaWays, "RSA_4096": rsaWays,
	"ECC_NIST_P256":         {{wire.ECDSAP256SHA256, types.SigningAlgorithmSpecEcdsaSha256, types.MessageTypeDigest}},
	"ECC_NIST_P384":         {{wire.ECDSAP384SHA384, types.SigningAlgorithmSpecEcdsaSha384, types.MessageTypeDigest}},
	"ECC_NIST_P521":         {{wire.ECDSAP521SHA512, types.SigningAlgorithmSpecEcdsaSha512, types.MessageTypeDigest}},
	"ECC_NIST_EDWARDS25519": {{wire.Ed25519, types.SigningAlgorithmSpecEd25519Sha512, types.MessageTypeRaw}},
	"ML_DSA_44":             {{wire.MLDSA44, types.SigningAlgorithmSpecMlDsaShake256, types.MessageTypeExternalMu}},
	"ML_DSA_65":             {{wire.MLDSA65, types.SigningAlgorithmSpecMlDsaShake256, types.MessageTypeExternalMu}},
	"ML_DSA_87":             {{wire.MLDSA87, types.SigningAlgorithmSpecMlDsaShake256, types.MessageTypeExternalMu}},
}

func (s keySpec) way(scheme wire.SignatureScheme) (way, bool) {
	for _, w := range ways[s] {
		if w.scheme == scheme {
			return w, true
		}
	}
	return way{}, false
}

func (s keySpec) schemes() []wire.SignatureScheme {
	var all []wire.SignatureScheme
	for _, w := range ways[s] {
		all = append(all, w.scheme)
	}
	return all
}
