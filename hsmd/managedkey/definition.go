package managedkey

import (
	"crypto/x509"
	"encoding/hex"
	"strings"

	"github.com/google/uuid"

	"github.com/hsmpki/hsmpki/config"
	"github.com/hsmpki/hsmpki/wire"
)

// The PKCS#11 mechanisms that keys sign with.
const (
	MechanismRSAPKCS = config.MechanismRSAPKCS
	MechanismRSAPSS  = config.MechanismRSAPSS
	MechanismECDSA   = config.MechanismECDSA
	MechanismEdDSA   = config.MechanismEdDSA
	MechanismMLDSA   = config.MechanismMLDSA
)

// namespace is that of the UUIDs of keys which hsmd's configuration defines.
// Such a UUID is of version 5 (RFC 9562, section 5.5) over type, "/" and name:
// it is the same on each machine with the same file and needs no state.
var namespace = uuid.MustParse("5b0f3f0c-6f0e-4a53-9d3c-6d2f6a1f7f4e")

// FromConfig makes the definition of a managed_key block, with the PIN and the
// public key read. Its error says where in the file they are.
func FromConfig(k *config.ManagedKey) (wire.Definition, error) {
	d := wire.Definition{
		Type:             k.Type,
		Name:             k.Name,
		UUID:             uuid.NewSHA1(namespace, []byte(k.Type+"/"+k.Name)).String(),
		AllowGenerateKey: k.AllowGenerateKey,
		AllowReplaceKey:  k.AllowReplaceKey,
		AllowStoreKey:    k.AllowStoreKey,
		AnyMount:         k.AnyMount,
		Usages:           k.Usages,
	}
	if k.AWSKMS != nil {
		var attr string
		var err error
		if d.AWSKMS, attr, err = awsFromConfig(k.AWSKMS); err != nil {
			return d, k.Place.Errorf(attr, "managed_key %q: %s: %v", k.Name, attr, err)
		}
		return d, nil
	}
	p := k.PKCS11
	d.PKCS11 = &wire.PKCS11Definition{
		Library:           p.Library,
		KeyLabel:          p.KeyLabel,
		KeyID:             p.KeyID,
		Mechanism:         p.Mechanism,
		KeyBits:           p.KeyBits,
		Curve:             p.Curve,
		ForceRWSession:    p.ForceRWSession,
		MaxParallel:       p.MaxParallel,
		GenerateMechanism: p.GenerateMechanism,
	}
	if err := tokenFromConfig(d.PKCS11, &p.Token); err != nil {
		return d, k.Place.Errorf("pin", "managed_key %q: %v", k.Name, err)
	}
	var err error
	if d.PKCS11.PublicKey, err = readPublicKey(p.PublicKey); err != nil {
		return d, k.Place.Errorf("public_key", "managed_key %q: public_key: %v", k.Name, err)
	}
	return d, nil
}

func tokenFromConfig(d *wire.PKCS11Definition, t *config.Token) (err error) {
	d.TokenLabel, d.TokenSerial, d.Slot, d.Login = t.Label, t.Serial, t.Slot, normalLogin(t.Login)
	if t.Login != config.LoginNone {
		d.PIN, err = t.PIN.Read()
	}
	return err
}

// Normalise brings what the API takes in several spellings into one.
func Normalise(d *wire.Definition) {
	if d.AWSKMS != nil {
		normaliseAWSKMS(d.AWSKMS)
	}
	p := d.PKCS11
	if p == nil {
		return
	}
	p.Login = normalLogin(p.Login)
	p.KeyID = strings.ToLower(strings.TrimPrefix(strings.TrimPrefix(p.KeyID, "0x"), "0X"))
	if p.Mechanism == MechanismEdDSA && p.Curve == "" {
		p.Curve = "Ed25519"
	}
	if curveBits[p.Curve] != 0 && p.KeyBits == curveBits[p.Curve] {
		p.KeyBits = 0 // Terraform sends it with a curve, where it says nothing
	}
}

// normalLogin has one word for the normal user, who may be left out.
func normalLogin(login string) string {
	if login == config.LoginUser {
		return ""
	}
	return login
}

var curveBits = map[string]int{"P256": 256, "P384": 384, "P521": 521, "Ed25519": 256}

// Check says what is wrong with a definition, as far as that can be told
// without its library. The error is a [wire.Error].
func Check(d *wire.Definition) error {
	switch {
	case d.Type != "pkcs11" && d.Type != "awskms":
		return wire.Errorf(wire.Invalid, "unsupported managed key type %q", d.Type)
	case !soundName(d.Name):
		return wire.Errorf(wire.Invalid, "the name %q of a managed key must be 1 to 128 of a-z, 0-9, '.', '_' and '-', and begin with a letter or digit", d.Name)
	case (d.PKCS11 != nil) != (d.Type == "pkcs11") || (d.AWSKMS != nil) != (d.Type == "awskms"):
		return wire.Errorf(wire.Invalid, "managed key %q is of type %s, and must have that part and no other", d.Name, d.Type)
	}
	for _, usage := range d.Usages {
		if !usages[usage] {
			return wire.Errorf(wire.Invalid, "managed key %q: usage %q is none of encrypt, decrypt, sign, verify, wrap, unwrap, mac, random", d.Name, usage)
		}
	}
	var fault string
	if d.AWSKMS != nil {
		fault = checkAWSKMS(d.AWSKMS, d.AllowGenerateKey)
	} else {
		fault = checkPKCS11(d.PKCS11, d.AllowGenerateKey)
	}
	if fault != "" {
		return wire.Errorf(wire.Invalid, "managed key %q: %s", d.Name, fault)
	}
	return nil
}

var usages = map[string]bool{"encrypt": true, "decrypt": true, "sign": true, "verify": true, "wrap": true, "unwrap": true,
	"mac": true, "random": true, "generate_random": true}

func soundName(name string) bool {
	for i, c := range []byte(name) {
		letter := 'a' <= c && c <= 'z' || '0' <= c && c <= '9'
		if !letter && (i == 0 || c != '.' && c != '_' && c != '-') {
			return false
		}
	}
	return name != "" && len(name) <= 128
}

func checkPKCS11(p *wire.PKCS11Definition, generate bool) string {
	id, err := hex.DecodeString(p.KeyID)
	switch {
	case p.Library == "":
		return "library is missing"
	case p.TokenLabel == "" && p.TokenSerial == "" && p.Slot == nil:
		return "one of slot, token_label and token_serial is needed"
	case p.KeyLabel == "" && p.KeyID == "":
		return "one of key_label and key_id is needed"
	case err != nil || len(id) > 255:
		return "key_id must be hexadecimal, at most 255 octets"
	case !plain(p.KeyLabel, 255) || !plain(p.TokenLabel, 32) || !plain(p.TokenSerial, 16):
		return "a label or serial number is too long or has control characters in it"
	case p.Login != "" && p.Login != config.LoginCryptoUser && p.Login != config.LoginContextSpecific && p.Login != config.LoginNone:
		return `login must be "user", "crypto_user", "context_specific" or "none"`
	case p.Login == config.LoginNone && p.PIN != "":
		return `a PIN makes no sense with login = "none"`
	case p.Login != config.LoginNone && p.PIN == "":
		return "pin is missing"
	case len(p.PIN) > 255 || strings.ContainsRune(p.PIN, 0):
		return "the pin is too long or has a NUL in it"
	case p.MaxParallel < 0:
		return "max_parallel must not be negative"
	case !generate && p.GenerateMechanism != 0:
		return "generate_mechanism needs allow_generate_key"
	case generate && p.KeyLabel == "":
		return "a key that may be generated needs a key_label"
	}
	if fault := checkMechanism(p, generate); fault != "" || len(p.PublicKey) == 0 {
		return fault
	}
	return checkPublicKey(p)
}

// checkPublicKey holds a public key that the definition gives against the rest
// of it.
func checkPublicKey(p *wire.PKCS11Definition) string {
	key, err := x509.ParsePKIXPublicKey(p.PublicKey)
	if err != nil {
		return "public_key is none: " + err.Error()
	}
	if _, err := schemesOf(key, p); err != nil {
		return "public_key " + err.Error()
	}
	return ""
}

func checkMechanism(p *wire.PKCS11Definition, generate bool) string {
	switch p.Mechanism {
	case MechanismRSAPKCS, MechanismRSAPSS:
		switch {
		case p.Curve != "":
			return "an RSA mechanism has no curve"
		case p.KeyBits != 0 && p.KeyBits != 2048 && p.KeyBits != 3072 && p.KeyBits != 4096:
			return "key_bits must be 2048, 3072 or 4096"
		case generate && p.KeyBits == 0:
			return "an RSA key that may be generated needs key_bits"
		}
	case MechanismECDSA:
		switch {
		case p.KeyBits != 0:
			return "an ECDSA mechanism has a curve, not key_bits"
		case p.Curve != "" && p.Curve != "P256" && p.Curve != "P384" && p.Curve != "P521":
			return "curve must be P256, P384 or P521"
		case generate && p.Curve == "":
			return "an ECDSA key that may be generated needs a curve"
		}
	case MechanismEdDSA:
		if p.KeyBits != 0 || p.Curve != "Ed25519" {
			return "mechanism 0x1057 has the curve Ed25519 and no key_bits"
		}
	case MechanismMLDSA:
		switch {
		case p.Curve != "":
			return "mechanism 0x001D (ML-DSA) has no curve"
		case p.KeyBits != 0 && p.KeyBits != 44 && p.KeyBits != 65 && p.KeyBits != 87:
			return "key_bits of ML-DSA is the parameter set: 44, 65 or 87"
		case generate && p.KeyBits == 0:
			return "an ML-DSA key that may be generated needs key_bits: 44, 65 or 87"
		}
	default:
		return "mechanism must be 0x0001 (RSA PKCS#1 v1.5), 0x000D (RSA-PSS), 0x001D (ML-DSA), 0x1041 (ECDSA) or 0x1057 (Ed25519)"
	}
	return ""
}

func plain(s string, limit int) bool {
	for _, c := range s {
		if c < ' ' || c == 0x7f || c == 0xfffd {
			return false
		}
	}
	return len(s) <= limit
}
