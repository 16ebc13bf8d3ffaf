package config

import (
	"net/netip"
	"net/url"
	"regexp"
	"strings"
)

// awsKeyTypes are the values of key_type, as they are spelled here; other cases
// are taken too.
var awsKeyTypes = []string{"RSA", "ECDSA", "Ed25519", "ML-DSA-44", "ML-DSA-65", "ML-DSA-87"}

// AWSKeyType gives a key_type as it is spelled, or it as it is where it is none.
func AWSKeyType(s string) string {
	for _, known := range awsKeyTypes {
		if strings.EqualFold(s, known) {
			return known
		}
	}
	return s
}

var soundAlias = regexp.MustCompile(`^alias/[A-Za-z0-9/_-]{1,250}$`)

// AliasRule says what [SoundAlias] takes.
const AliasRule = `an alias has letters, digits, "/", "_" and "-", 250 at most`

// SoundAlias reports whether KMS takes an alias. It refuses another only when the
// key that is to have it has been made.
func SoundAlias(alias string) bool { return soundAlias.MatchString(alias) }

var soundRegion = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// SoundRegion reports whether a region can be one: it becomes part of a host's
// name.
func SoundRegion(region string) bool { return soundRegion.MatchString(region) }

func (c checker) awsKey(p Place, k *AWSKMSKey, generate bool) {
	if alias := strings.HasPrefix(k.KMSKey, "alias/"); generate && k.KMSKey != "" && !alias {
		c.faultf(p, "kms_key", `with allow_generate_key, kms_key must be an alias: "alias/…"`)
	} else if alias && !SoundAlias(k.KMSKey) {
		c.faultf(p, "kms_key", "kms_key %q: %s", k.KMSKey, AliasRule)
	}
	if p.Has("access_key") != p.Has("secret_key") {
		c.faultf(p, "", "access_key and secret_key go together; without both, hsmd uses the credentials that it finds in its surroundings")
	}
	if k.SecretKey.IsSet() && k.SecretKey.Reference() == "" {
		c.warnf(p, "secret_key", `the secret key stands in this file; "file:/path" or "env:NAME" would keep it out`)
	}
	c.region(p, "region", k.Region)
	c.endpoint(p, "endpoint", k.Endpoint)
	k.KeyType = AWSKeyType(k.KeyType)
	switch k.KeyType {
	case "":
	case "RSA":
		c.notWith(p, "curve", "key_type RSA")
		c.keyBits(p, k.KeyBits, true, 2048, 3072, 4096)
	case "ECDSA":
		c.notWith(p, "key_bits", "key_type ECDSA")
		c.curve(p, k.Curve, generate)
	case "Ed25519", "ML-DSA-44", "ML-DSA-65", "ML-DSA-87":
		c.notWith(p, "key_bits", "key_type "+k.KeyType)
		c.notWith(p, "curve", "key_type "+k.KeyType)
	default:
		c.oneOf(p, "key_type", k.KeyType, awsKeyTypes...)
	}
}

func (c checker) region(p Place, attr, region string) {
	if region != "" && !SoundRegion(region) {
		c.faultf(p, attr, `%s %q: a region has small letters, digits and "-", as in "eu-west-1"`, attr, region)
	}
}

func (c checker) endpoint(p Place, attr, endpoint string) {
	if endpoint != "" && !SafeEndpoint(endpoint) {
		c.faultf(p, attr, `%s %q: must begin with "https://" ("http://" only with an address of this machine) and have no path, query or user`, attr, endpoint)
	}
}

// SafeEndpoint reports whether a URL is one that KMS can be asked at: over TLS,
// but on this machine.
func SafeEndpoint(endpoint string) bool {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		return false
	}
	addr, err := netip.ParseAddr(u.Hostname())
	return u.Scheme == "https" || u.Scheme == "http" && err == nil && addr.IsLoopback()
}
