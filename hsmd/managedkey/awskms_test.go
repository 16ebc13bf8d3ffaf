package managedkey_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/config"
	"github.com/hsmpki/hsmpki/hsmd/managedkey"
	"github.com/hsmpki/hsmpki/wire"
)

const arn = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd"

func awsDefinition(edit func(*wire.Definition, *wire.AWSKMSDefinition)) *wire.Definition {
	d := &wire.Definition{Type: "awskms", Name: "cloud", AllowGenerateKey: true, AWSKMS: &wire.AWSKMSDefinition{
		AccessKey: "AKIA", SecretKey: "hush", Region: "eu-west-1", KMSKey: "alias/cloud", KeyType: "rsa", KeyBits: 2048}}
	edit(d, d.AWSKMS)
	managedkey.Normalise(d)
	return d
}

// TestAWSKMSDefinitions: what a key in AWS KMS may be defined as.
func TestAWSKMSDefinitions(t *testing.T) {
	for name, edit := range map[string]func(*wire.Definition, *wire.AWSKMSDefinition){
		"": func(*wire.Definition, *wire.AWSKMSDefinition) {},
		"ECDSA": func(_ *wire.Definition, p *wire.AWSKMSDefinition) {
			p.KeyType, p.KeyBits, p.Curve = "ecdsa", 256, "P256"
		},
		"Ed25519":      func(_ *wire.Definition, p *wire.AWSKMSDefinition) { p.KeyType, p.KeyBits = "ED25519", 0 },
		"ML-DSA":       func(_ *wire.Definition, p *wire.AWSKMSDefinition) { p.KeyType, p.KeyBits = "ml-dsa-44", 0 },
		"surroundings": func(_ *wire.Definition, p *wire.AWSKMSDefinition) { p.AccessKey, p.SecretKey, p.Region = "", "", "" },
		"on loopback":  func(_ *wire.Definition, p *wire.AWSKMSDefinition) { p.Endpoint = "http://[::1]:4566/" },
		"by ARN": func(d *wire.Definition, p *wire.AWSKMSDefinition) {
			d.AllowGenerateKey, p.KMSKey, p.Region = false, arn, ""
		},
		"any curve": func(d *wire.Definition, p *wire.AWSKMSDefinition) {
			d.AllowGenerateKey, p.KeyType, p.KeyBits = false, "ECDSA", 0
		},
	} {
		if err := managedkey.CheckWire(awsDefinition(edit)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for reason, edit := range map[string]func(*wire.Definition, *wire.AWSKMSDefinition){
		"is of type awskms, and must have that part": func(d *wire.Definition, _ *wire.AWSKMSDefinition) { d.PKCS11 = &wire.PKCS11Definition{} },
		"kms_key is missing":                         func(_ *wire.Definition, p *wire.AWSKMSDefinition) { p.KMSKey = "" },
		"needs an alias":                             func(_ *wire.Definition, p *wire.AWSKMSDefinition) { p.KMSKey = "1234abcd" },
		"an alias has letters":                       func(_ *wire.Definition, p *wire.AWSKMSDefinition) { p.KMSKey = "alias/ca.2026" },
		"those of AWS itself":                        func(_ *wire.Definition, p *wire.AWSKMSDefinition) { p.KMSKey = "alias/aws/s3" },
		"kms_key is in region eu-west-1":             func(_ *wire.Definition, p *wire.AWSKMSDefinition) { p.KMSKey, p.Region = arn, "us-east-1" },
		`region "eu west-1" is none`:                 func(_ *wire.Definition, p *wire.AWSKMSDefinition) { p.Region = "eu west-1" },
		`region "x.example.com/#" is none`:           func(_ *wire.Definition, p *wire.AWSKMSDefinition) { p.Region = "x.example.com/#" },
		"secret_key go together":                     func(_ *wire.Definition, p *wire.AWSKMSDefinition) { p.AccessKey = "" },
		"given through the API is literal":           func(_ *wire.Definition, p *wire.AWSKMSDefinition) { p.SecretKey = "file:/etc/shadow" },
		"endpoint must begin":                        func(_ *wire.Definition, p *wire.AWSKMSDefinition) { p.Endpoint = "http://10.0.0.1" },
		"key_type must be":                           func(_ *wire.Definition, p *wire.AWSKMSDefinition) { p.KeyType, p.KeyBits = "DSA", 0 },
		"key_bits must be":                           func(_ *wire.Definition, p *wire.AWSKMSDefinition) { p.KeyBits = 1024 },
		"key_bits goes with":                         func(_ *wire.Definition, p *wire.AWSKMSDefinition) { p.KeyType = "Ed25519" },
		"curve goes with":                            func(_ *wire.Definition, p *wire.AWSKMSDefinition) { p.Curve = "P256" },
		"curve must be":                              func(_ *wire.Definition, p *wire.AWSKMSDefinition) { p.KeyType, p.KeyBits, p.Curve = "ECDSA", 0, "P224" },
		"control characters":                         func(_ *wire.Definition, p *wire.AWSKMSDefinition) { p.KMSKey = "alias/a\nb" },
		"requests_per_second must not be":            func(_ *wire.Definition, p *wire.AWSKMSDefinition) { p.RequestsPerSecond = -1 },
	} {
		err := managedkey.CheckWire(awsDefinition(edit))
		if !errors.Is(err, wire.Invalid) || !strings.Contains(err.Error(), reason) {
			t.Errorf("got %v, want %q", err, reason)
		}
		if err != nil && (strings.Contains(err.Error(), "hush") || strings.Contains(err.Error(), "AKIA")) {
			t.Errorf("%v shows a credential", err)
		}
	}
}

// TestAWSKMSWireRules: regions and endpoints are those of wire_keys, whatever
// word names the region.
func TestAWSKMSWireRules(t *testing.T) {
	rules := managedkey.NewWireRules(&config.WireKeys{Regions: []string{"eu-west-1"}, Endpoints: []string{"https://kms.example.com/"}})
	for _, c := range []struct {
		rules   *managedkey.WireRules
		edit    func(*wire.Definition, *wire.AWSKMSDefinition)
		allowed bool
	}{
		{rules, func(*wire.Definition, *wire.AWSKMSDefinition) {}, true},
		{rules, func(_ *wire.Definition, p *wire.AWSKMSDefinition) { p.Region = "" }, true},
		{rules, func(_ *wire.Definition, p *wire.AWSKMSDefinition) { p.Region = "us-east-1" }, false},
		{rules, func(_ *wire.Definition, p *wire.AWSKMSDefinition) {
			p.KMSKey, p.Region = strings.Replace(arn, "eu-west-1", "us-east-1", 1), ""
		}, false},
		{rules, func(_ *wire.Definition, p *wire.AWSKMSDefinition) { p.Endpoint = "https://kms.example.com/" }, true},
		{rules, func(_ *wire.Definition, p *wire.AWSKMSDefinition) { p.Endpoint = "https://evil.example.com" }, false},
		{managedkey.NewWireRules(&config.WireKeys{}), func(*wire.Definition, *wire.AWSKMSDefinition) {}, false},
		{managedkey.NewWireRules(&config.WireKeys{}), func(_ *wire.Definition, p *wire.AWSKMSDefinition) { p.Region = "" }, false},
		{managedkey.NewWireRules(&config.WireKeys{Regions: []string{"*"}}), func(*wire.Definition, *wire.AWSKMSDefinition) {}, true},
		{nil, func(*wire.Definition, *wire.AWSKMSDefinition) {}, false},
	} {
		d := awsDefinition(c.edit)
		err := c.rules.AllowAWSKMS(d.AWSKMS)
		if (err == nil) != c.allowed || err != nil && !errors.Is(err, wire.Denied) {
			t.Errorf("%+v: %v", d.AWSKMS, err)
		}
		if err == nil && c.rules == rules && d.AWSKMS.Region != "eu-west-1" {
			t.Errorf("the one region is not taken: %q", d.AWSKMS.Region)
		}
	}
}

// TestAWSKMSIsKept: a definition is stored whole, and shown without credentials.
func TestAWSKMSIsKept(t *testing.T) {
	d := awsDefinition(func(_ *wire.Definition, p *wire.AWSKMSDefinition) { p.RequestsPerSecond = 7 })
	dir := t.TempDir()
	store := open(t, dir, "0123456789abcdef")
	if err := store.Put(managedkey.Record{Definition: *d, Source: wire.SourceWire}); err != nil {
		t.Fatal(err)
	}
	store.Close()
	kept := open(t, dir, "0123456789abcdef").Records()[0].Definition
	if *kept.AWSKMS != *d.AWSKMS {
		t.Errorf("kept %+v, want %+v", kept.AWSKMS, d.AWSKMS)
	}
	shown := managedkey.NewKey(kept, wire.SourceWire, nil).Shown().AWSKMS
	if shown.AccessKey+shown.SecretKey != "" || shown.KMSKey != "alias/cloud" || kept.AWSKMS.SecretKey != "hush" {
		t.Errorf("shown as %+v", shown)
	}
}
