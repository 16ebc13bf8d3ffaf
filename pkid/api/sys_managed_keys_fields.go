package api

import (
	"slices"
	"strconv"
	"strings"

	"github.com/hsmpki/hsmpki/pkid/vaultapi"
	"github.com/hsmpki/hsmpki/wire"
)

// keyUsages are the usages of a managed key; Terraform calls the last one
// generate_random.
var keyUsages = []string{"encrypt", "decrypt", "sign", "verify", "wrap", "unwrap", "mac", "random"}

// maxField bounds a text of a definition, in octets; all of them go to hsmd in
// one frame.
const maxField = 4096

// definitionOf reads the fields of a key. Whether they go together is hsmd's to
// say.
func definitionOf(p *vaultapi.Params, kind, name string) (*wire.Definition, error) {
	d := &wire.Definition{
		Type: kind, Name: name,
		AllowGenerateKey: p.Bool("allow_generate_key", false),
		AllowReplaceKey:  p.Bool("allow_replace_key", false),
		AllowStoreKey:    p.Bool("allow_store_key", false),
		AnyMount:         p.Bool("any_mount", false),
	}
	var err error
	if kind == "awskms" {
		d.AWSKMS, err = awsDefinitionOf(p)
	} else {
		d.PKCS11, err = pkcs11DefinitionOf(p)
	}
	if err != nil {
		return nil, err
	}
	if d.Usages, err = usagesOf(p); err != nil {
		return nil, err
	}
	return d, p.Err()
}

func pkcs11DefinitionOf(p *vaultapi.Params) (*wire.PKCS11Definition, error) {
	d := &wire.PKCS11Definition{
		Library: p.String("library"), TokenLabel: p.String("token_label"), TokenSerial: p.String("token_serial"),
		PIN: p.String("pin"), Login: p.String("login"), KeyLabel: p.String("key_label"), KeyID: p.String("key_id"),
		KeyBits: p.Int("key_bits", 0), Curve: p.String("curve"),
		ForceRWSession: p.Bool("force_rw_session", false), MaxParallel: p.Int("max_parallel", 0),
	}
	if p.Has("slot") {
		slot, bad := strconv.ParseUint(p.String("slot"), 10, 64)
		if bad != nil {
			return nil, vaultapi.BadRequest("slot must be the decimal number of a slot")
		}
		d.Slot = &slot
	}
	var err error
	if d.Mechanism, err = mechanismOf(p); err != nil {
		return nil, err
	}
	return d, boundedFields(p, "library", "token_label", "token_serial", "pin", "login", "key_label", "key_id", "curve")
}

func awsDefinitionOf(p *vaultapi.Params) (*wire.AWSKMSDefinition, error) {
	return &wire.AWSKMSDefinition{
		AccessKey: p.String("access_key"), SecretKey: p.String("secret_key"), Region: p.String("region"), Endpoint: p.String("endpoint"),
		KMSKey: p.String("kms_key"), KeyType: p.String("key_type"), KeyBits: p.Int("key_bits", 0), Curve: p.String("curve"),
		RequestsPerSecond: p.Int("requests_per_second", 0),
	}, boundedFields(p, "access_key", "secret_key", "region", "endpoint", "kms_key", "key_type", "curve")
}

func boundedFields(p *vaultapi.Params, fields ...string) error {
	for _, field := range fields {
		if n := len(p.String(field)); n > maxField {
			return vaultapi.BadRequest("%s: a value of %d octets, where %d are possible", field, n, maxField)
		}
	}
	return nil
}

// mechanismOf reads a CKM number: "0x1041", or the decimal that reading gives.
func mechanismOf(p *vaultapi.Params) (uint64, error) {
	text := p.String("mechanism")
	if text == "" {
		return 0, vaultapi.BadRequest(`mechanism is required: the number of a PKCS#11 mechanism, such as "0x1041"`)
	}
	var n uint64
	var err error
	if digits, hex := strings.CutPrefix(strings.ToLower(text), "0x"); hex {
		n, err = strconv.ParseUint(digits, 16, 64)
	} else {
		n, err = strconv.ParseUint(text, 10, 64)
	}
	if err != nil {
		return 0, vaultapi.BadRequest(`mechanism %q: must be the number of a PKCS#11 mechanism, such as "0x1041"`, text)
	}
	return n, nil
}

func usagesOf(p *vaultapi.Params) ([]string, error) {
	var usages []string
	for _, usage := range p.StringList("usages") {
		usage = strings.ToLower(usage)
		if usage == "generate_random" {
			usage = "random"
		}
		if !slices.Contains(keyUsages, usage) {
			return nil, vaultapi.BadRequest("usages: %q is none of %s", usage, strings.Join(keyUsages, ", "))
		}
		usages = append(usages, usage)
	}
	return usages, nil
}

// describeKey is a definition as reading gives it: each field with the type
// that it has, and no PIN or credential.
func describeKey(d *wire.Definition) map[string]any {
	usages := d.Usages
	if len(usages) == 0 {
		usages = []string{"sign", "verify"}
	}
	data := map[string]any{
		"UUID": d.UUID, "name": d.Name, "type": d.Type, "usages": usages,
		"allow_generate_key": d.AllowGenerateKey, "allow_replace_key": d.AllowReplaceKey,
		"allow_store_key": d.AllowStoreKey, "any_mount": d.AnyMount,
	}
	if p := d.AWSKMS; p != nil {
		data["access_key"], data["secret_key"] = "redacted", "redacted"
		data["region"], data["endpoint"], data["kms_key"] = p.Region, p.Endpoint, p.KMSKey
		data["key_type"], data["key_bits"], data["curve"] = p.KeyType, p.KeyBits, p.Curve
		if p.RequestsPerSecond != 0 {
			data["requests_per_second"] = p.RequestsPerSecond
		}
	}
	if p := d.PKCS11; p != nil {
		data["library"], data["pin"] = p.Library, "redacted"
		data["token_label"], data["key_label"], data["key_id"] = p.TokenLabel, p.KeyLabel, p.KeyID
		data["mechanism"], data["key_bits"], data["curve"] = p.Mechanism, p.KeyBits, p.Curve
		data["force_rw_session"], data["max_parallel"] = p.ForceRWSession, p.MaxParallel
		if p.Slot != nil {
			data["slot"] = *p.Slot
		}
		if p.TokenSerial != "" {
			data["token_serial"] = p.TokenSerial
		}
		if p.Login != "" {
			data["login"] = p.Login
		}
	}
	return data
}
