package managedkey

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/mldsa"
	"crypto/rsa"
	"fmt"
	"slices"
	"strings"

	"github.com/hsmpki/hsmpki/config"
	"github.com/hsmpki/hsmpki/wire"
)

// AWSKMSName is what AWS KMS is called where others have a library's name.
const AWSKMSName = "awskms"

// awsFromConfig takes over the block of a key in AWS KMS, with the credentials
// read. attr is the attribute that an error is about.
func awsFromConfig(k *config.AWSKMSKey) (d *wire.AWSKMSDefinition, attr string, err error) {
	d = &wire.AWSKMSDefinition{Region: k.Region, Endpoint: k.Endpoint, KMSKey: k.KMSKey, KeyType: k.KeyType, KeyBits: k.KeyBits, Curve: k.Curve,
		RequestsPerSecond: k.RequestsPerSecond}
	if !k.AccessKey.IsSet() {
		return d, "", nil
	}
	if d.AccessKey, err = k.AccessKey.Read(); err != nil {
		return d, "access_key", err
	}
	d.SecretKey, err = k.SecretKey.Read()
	return d, "secret_key", err
}

func normaliseAWSKMS(d *wire.AWSKMSDefinition) {
	d.KeyType = config.AWSKeyType(d.KeyType)
	d.Endpoint = strings.TrimSuffix(d.Endpoint, "/")
	if region := regionOf(d.KMSKey); d.Region == "" {
		d.Region = region
	}
	if bits := curveBits[d.Curve]; bits != 0 && d.KeyBits == bits {
		d.KeyBits = 0
	}
}

// regionOf gives the region in an ARN, "arn:aws:kms:REGION:ACCOUNT:key/ID"; empty
// for what is none.
func regionOf(kmsKey string) string {
	if parts := strings.SplitN(kmsKey, ":", 6); len(parts) == 6 && parts[0] == "arn" {
		return parts[3]
	}
	return ""
}

func checkAWSKMS(d *wire.AWSKMSDefinition, generate bool) string {
	for _, text := range []string{d.AccessKey, d.SecretKey, d.Region, d.Endpoint, d.KMSKey} {
		if !plain(text, 2048) {
			return "a value is too long or has control characters in it"
		}
	}
	switch {
	case d.KMSKey == "":
		return "kms_key is missing"
	case d.Region != "" && !config.SoundRegion(d.Region):
		return fmt.Sprintf("region %q is none", d.Region)
	case regionOf(d.KMSKey) != "" && regionOf(d.KMSKey) != d.Region:
		return "kms_key is in region " + regionOf(d.KMSKey) + ", and region says " + d.Region
	case generate && !strings.HasPrefix(d.KMSKey, "alias/"):
		return `a key that may be generated needs an alias as kms_key: "alias/…"`
	case strings.HasPrefix(d.KMSKey, "alias/") && !config.SoundAlias(d.KMSKey):
		return "kms_key: " + config.AliasRule
	case strings.HasPrefix(d.KMSKey, "alias/aws/"):
		return "aliases that begin with alias/aws/ are those of AWS itself"
	case (d.AccessKey == "") != (d.SecretKey == ""):
		return "access_key and secret_key go together"
	case d.Endpoint != "" && !config.SafeEndpoint(d.Endpoint):
		return `endpoint must begin with "https://" ("http://" only with an address of hsmd's machine) and have no path, query or user`
	case d.RequestsPerSecond < 0:
		return "requests_per_second must not be negative"
	case d.KeyType == "RSA" && d.KeyBits != 2048 && d.KeyBits != 3072 && d.KeyBits != 4096:
		return "key_bits must be 2048, 3072 or 4096"
	case d.KeyType != "RSA" && d.KeyBits != 0:
		return "key_bits goes with key_type RSA alone"
	case d.KeyType != "ECDSA" && d.Curve != "":
		return "curve goes with key_type ECDSA alone"
	case d.KeyType == "ECDSA" && !(d.Curve == "" && !generate) && d.Curve != "P256" && d.Curve != "P384" && d.Curve != "P521":
		return "curve must be P256, P384 or P521"
	}
	switch d.KeyType {
	case "RSA", "ECDSA", "Ed25519", "ML-DSA-44", "ML-DSA-65", "ML-DSA-87":
		return ""
	}
	return "key_type must be RSA, ECDSA, Ed25519, ML-DSA-44, ML-DSA-65 or ML-DSA-87"
}

// awsSchemes gives the schemes of a key in AWS KMS, where it is what its
// definition says.
func awsSchemes(key crypto.PublicKey, d *wire.AWSKMSDefinition) ([]wire.SignatureScheme, error) {
	kind := fmt.Sprintf("%T", key)
	var schemes []wire.SignatureScheme
	switch key := key.(type) {
	case *rsa.PublicKey:
		kind = fmt.Sprintf("RSA of %d bits", key.N.BitLen())
		if d.KeyType == "RSA" && d.KeyBits == key.N.BitLen() {
			schemes = slices.Concat(pkcs1Schemes, pssSchemes)
		}
	case *ecdsa.PublicKey:
		curve := ecdsaCurves[key.Curve]
		kind = "ECDSA on " + key.Params().Name
		if d.KeyType == "ECDSA" && curve.scheme != 0 && (d.Curve == "" || d.Curve == curve.name) {
			schemes = []wire.SignatureScheme{curve.scheme}
		}
	case ed25519.PublicKey:
		kind = "Ed25519"
		if d.KeyType == kind {
			schemes = []wire.SignatureScheme{wire.Ed25519}
		}
	case *mldsa.PublicKey:
		kind = key.Parameters().String()
		if d.KeyType == kind {
			schemes = []wire.SignatureScheme{parameterSets[key.Parameters()].scheme}
		}
	}
	if schemes == nil {
		return nil, fmt.Errorf("is %s, its definition says %s", kind, AWSAlgorithm(d))
	}
	return schemes, nil
}

// AWSAlgorithm names the algorithm of a key in AWS KMS in words.
func AWSAlgorithm(d *wire.AWSKMSDefinition) string {
	if d.KeyBits != 0 {
		return fmt.Sprintf("%s %d", d.KeyType, d.KeyBits)
	}
	return strings.TrimSpace(d.KeyType + " " + d.Curve)
}

// AllowAWSKMS says whether a key in AWS KMS may be defined over the wire; where
// it names no region, and there is but one, it is that one's.
func (r *WireRules) AllowAWSKMS(d *wire.AWSKMSDefinition) error {
	if r == nil {
		return r.AllowLibrary(AWSKMSName)
	}
	if d.Region == "" && len(r.regions) == 1 && r.regions[0] != "*" {
		d.Region = r.regions[0]
	}
	if !slices.Contains(r.regions, "*") && !slices.Contains(r.regions, d.Region) {
		return wire.Errorf(wire.Denied, "region %q is not among the regions of hsmd's wire_keys", d.Region)
	}
	if d.Endpoint != "" && !slices.Contains(r.endpoints, d.Endpoint) {
		return wire.Errorf(wire.Denied, "endpoint %q is not among the endpoints of hsmd's wire_keys", d.Endpoint)
	}
	return nil
}

// sameInAWSKMS reports whether two definitions say the same key in AWS KMS, in
// what may be one account and region.
func sameInAWSKMS(p, q *wire.AWSKMSDefinition) bool {
	return p != nil && q != nil && !differ(p.Region, q.Region) && p.KMSKey == q.KMSKey
}
