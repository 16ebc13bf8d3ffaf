package config

import (
	"fmt"
	"strings"
)

// maxKeyName bounds a managed key's name, in octets.
const maxKeyName = 128

// validKeyName reports whether a managed key may have the name: a-z, 0-9, ".",
// "_" and "-", beginning with a letter or digit.
func validKeyName(name string) bool {
	if name == "" || len(name) > maxKeyName || strings.IndexByte("._-", name[0]) >= 0 {
		return false
	}
	return strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789._-") == ""
}

func (c checker) managedKey(k *ManagedKey, libraries []string) {
	if !validKeyName(k.Name) {
		c.faultf(k.Place, "", `managed_key name %q: must be lower-case letters, digits, ".", "_" and "-", and begin with a letter or digit`, k.Name)
	}
	c.eachOf(k.Place, "usages", k.Usages, "encrypt", "decrypt", "sign", "verify", "wrap", "unwrap", "mac", "random", "generate_random")
	if k.PKCS11 != nil {
		c.library(k.Place, k.PKCS11.Library, libraries)
		c.token(k.Place, "managed_key", &k.PKCS11.Token)
		c.pkcs11Key(k.Place, k.PKCS11, k.AllowGenerateKey)
		for i := range k.PKCS11.Copies {
			c.library(k.PKCS11.Copies[i].Place, k.PKCS11.Copies[i].Library, libraries)
			c.token(k.PKCS11.Copies[i].Place, "copy", &k.PKCS11.Copies[i].Token)
		}
	}
	if k.AWSKMS != nil {
		c.awsKey(k.Place, k.AWSKMS, k.AllowGenerateKey)
	}
	if k.Constraints != nil {
		c.constraint(k.Constraints)
	}
}

func (c checker) token(p Place, kind string, t *Token) {
	if !p.Has("token_label") && !p.Has("token_serial") && !p.Has("slot") {
		c.faultf(p, "", "%s needs token_label, token_serial or slot", kind)
	}
	c.oneOf(p, "login", t.Login, LoginUser, LoginCryptoUser, LoginContextSpecific, LoginNone)
	switch {
	case t.Login == LoginNone && p.Has("pin"):
		c.faultf(p, "pin", `pin and login = "none" exclude each other`)
	case t.Login != LoginNone && !p.Has("pin"):
		c.faultf(p, "", `%s needs pin, or login = "none" for a token that wants no login`, kind)
	case t.PIN.IsSet() && t.PIN.Reference() == "":
		c.warnf(p, "pin", `the PIN stands in this file; "file:/path" or "env:NAME" would keep it out`)
	}
}

func (c checker) pkcs11Key(p Place, k *PKCS11Key, generate bool) {
	if !p.Has("key_label") && !p.Has("key_id") {
		c.faultf(p, "", "managed_key needs key_label or key_id")
	} else if generate && !p.Has("key_label") {
		c.faultf(p, "allow_generate_key", "allow_generate_key needs key_label")
	}
	if p.Has("generate_mechanism") && !generate {
		c.faultf(p, "generate_mechanism", "generate_mechanism needs allow_generate_key")
	}
	if path, ok := strings.CutPrefix(k.PublicKey, "file:"); ok {
		c.absolute(p, "public_key", path)
	} else if k.PublicKey != "" && !strings.Contains(k.PublicKey, "-----BEGIN ") {
		c.faultf(p, "public_key", `public_key must be PEM, or "file:/path" of a file with it`)
	}
	if !p.Has("mechanism") || p.faulty("mechanism") {
		return
	}
	switch k.Mechanism {
	case MechanismRSAPKCS, MechanismRSAPSS:
		c.notWith(p, "curve", "an RSA mechanism")
		c.keyBits(p, k.KeyBits, generate, 2048, 3072, 4096)
	case MechanismMLDSA:
		c.notWith(p, "curve", "mechanism 0x001D (ML-DSA)")
		c.keyBits(p, k.KeyBits, generate, 44, 65, 87)
	case MechanismECDSA:
		c.notWith(p, "key_bits", "mechanism 0x1041 (ECDSA), which takes a curve")
		c.curve(p, k.Curve, generate)
	case MechanismEdDSA:
		c.notWith(p, "key_bits", "mechanism 0x1057 (EdDSA)")
		c.oneOf(p, "curve", k.Curve, "Ed25519")
		k.Curve = "Ed25519"
	default:
		c.faultf(p, "mechanism", "mechanism 0x%04x: must be 0x0001 (RSA PKCS#1 v1.5), 0x000D (RSA-PSS), 0x001D (ML-DSA), 0x1041 (ECDSA) or 0x1057 (Ed25519)", k.Mechanism)
	}
}

func (c checker) notWith(p Place, attr, what string) {
	if p.Has(attr) {
		c.faultf(p, attr, "%s does not go with %s", attr, what)
	}
}

func (c checker) keyBits(p Place, bits int, needed bool, a, b, last int) {
	words := fmt.Sprintf("%d, %d or %d", a, b, last)
	switch {
	case bits == a || bits == b || bits == last:
	case p.faulty("key_bits"):
	case p.Has("key_bits"):
		c.faultf(p, "key_bits", "key_bits must be %s", words)
	case needed:
		c.faultf(p, "", "managed_key needs key_bits: %s", words)
	}
}

func (c checker) curve(p Place, curve string, needed bool) {
	if needed && !p.Has("curve") {
		c.faultf(p, "", "managed_key needs curve: P256, P384 or P521")
	}
	c.oneOf(p, "curve", curve, "P256", "P384", "P521")
}
