package managedkey

import (
	"bytes"
	"encoding/json"

	"github.com/hsmpki/hsmpki/wire"
)

// Record is a definition that hsmd keeps because its configuration does not.
type Record struct {
	Definition wire.Definition
	Source     wire.Source
	Owner      uint32 // of an internal key, see [Key]
}

// contents is what the file keys holds, before encryption.
type contents struct {
	records  []Record
	refusals map[string][]wire.Refusal // by path of the library
}

// The JSON of contents. It has its own structs so that the file does not change
// with the protocol: a field that wire gets fails to compile here, and whoever
// adds it thinks of the format number.
type (
	fileContents struct {
		Keys     []fileRecord             `json:"keys"`
		Refusals map[string][]fileRefusal `json:"refused_pins,omitempty"`
	}

	fileRecord struct {
		Type             string      `json:"type"`
		Name             string      `json:"name"`
		UUID             string      `json:"uuid"`
		AllowGenerateKey bool        `json:"allow_generate_key,omitempty"`
		AllowReplaceKey  bool        `json:"allow_replace_key,omitempty"`
		AllowStoreKey    bool        `json:"allow_store_key,omitempty"`
		AnyMount         bool        `json:"any_mount,omitempty"`
		Usages           []string    `json:"usages,omitempty"`
		PKCS11           *filePKCS11 `json:"pkcs11,omitempty"`
		AWSKMS           *fileAWSKMS `json:"awskms,omitempty"`
		Source           wire.Source `json:"source"`
		Owner            uint32      `json:"owner,omitempty"`
	}

	filePKCS11 struct {
		Library        string  `json:"library"`
		TokenLabel     string  `json:"token_label,omitempty"`
		TokenSerial    string  `json:"token_serial,omitempty"`
		Slot           *uint64 `json:"slot,omitempty"`
		PIN            string  `json:"pin,omitempty"`
		Login          string  `json:"login,omitempty"`
		KeyLabel       string  `json:"key_label,omitempty"`
		KeyID          string  `json:"key_id,omitempty"`
		Mechanism      uint64  `json:"mechanism"`
		KeyBits        int     `json:"key_bits,omitempty"`
		Curve          string  `json:"curve,omitempty"`
		ForceRWSession bool    `json:"force_rw_session,omitempty"`
		MaxParallel    int     `json:"max_parallel,omitempty"`

		GenerateMechanism uint64 `json:"generate_mechanism,omitempty"`
		PublicKey         []byte `json:"public_key,omitempty"`
	}

	fileAWSKMS struct {
		AccessKey string `json:"access_key,omitempty"`
		SecretKey string `json:"secret_key,omitempty"`
		Region    string `json:"region,omitempty"`
		Endpoint  string `json:"endpoint,omitempty"`
		KMSKey    string `json:"kms_key"`
		KeyType   string `json:"key_type"`
		KeyBits   int    `json:"key_bits,omitempty"`
		Curve     string `json:"curve,omitempty"`

		RequestsPerSecond int `json:"requests_per_second,omitempty"`
	}

	fileRefusal struct {
		MAC         []byte `json:"mac"`
		TokenSerial string `json:"token_serial"`
		At          int64  `json:"at"` // seconds since 1970
		FromWire    bool   `json:"from_wire,omitempty"`
	}
)

func (c *contents) encode() ([]byte, error) {
	f := fileContents{Keys: make([]fileRecord, len(c.records)), Refusals: map[string][]fileRefusal{}}
	for i := range c.records {
		r := &c.records[i]
		d := &r.Definition
		f.Keys[i] = fileRecord{Type: d.Type, Name: d.Name, UUID: d.UUID, AllowGenerateKey: d.AllowGenerateKey, AllowReplaceKey: d.AllowReplaceKey,
			AllowStoreKey: d.AllowStoreKey, AnyMount: d.AnyMount, Usages: d.Usages, PKCS11: (*filePKCS11)(d.PKCS11), AWSKMS: (*fileAWSKMS)(d.AWSKMS), Source: r.Source, Owner: r.Owner}
	}
	for path, list := range c.refusals {
		for _, r := range list {
			f.Refusals[path] = append(f.Refusals[path], fileRefusal(r))
		}
	}
	return json.Marshal(f)
}

func decodeContents(text []byte) (contents, error) {
	var f fileContents
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return contents{}, err
	}
	c := contents{records: make([]Record, len(f.Keys)), refusals: map[string][]wire.Refusal{}}
	for i, k := range f.Keys {
		c.records[i] = Record{Source: k.Source, Owner: k.Owner, Definition: wire.Definition{Type: k.Type, Name: k.Name, UUID: k.UUID,
			AllowGenerateKey: k.AllowGenerateKey, AllowReplaceKey: k.AllowReplaceKey, AllowStoreKey: k.AllowStoreKey, AnyMount: k.AnyMount,
			Usages: k.Usages, PKCS11: (*wire.PKCS11Definition)(k.PKCS11), AWSKMS: (*wire.AWSKMSDefinition)(k.AWSKMS)}}
	}
	for path, list := range f.Refusals {
		for _, r := range list {
			c.refusals[path] = append(c.refusals[path], wire.Refusal(r))
		}
	}
	return c, nil
}
