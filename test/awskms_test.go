package test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/hsmpki/hsmpki/test/check"
	"github.com/hsmpki/hsmpki/test/daemon"
	"github.com/hsmpki/hsmpki/test/fakekms"
	"github.com/hsmpki/hsmpki/test/hostilemodule"
	"github.com/hsmpki/hsmpki/test/softhsm"
	"github.com/hsmpki/hsmpki/wire"
)

// kmsKey is the block of a key in AWS KMS; more are further attributes of it.
func kmsKey(kms *fakekms.Server, name string, more ...string) string {
	return fmt.Sprintf(`
managed_key "awskms" %q {
  access_key         = %q
  secret_key         = %q
  region             = %q
  endpoint           = %q
  kms_key            = "alias/%s"
  key_type           = "ECDSA"
  curve              = "P256"
  allow_generate_key = true
  any_mount          = true
  %s
}
`, name, fakekms.AccessKey, fakekms.SecretKey, fakekms.Region, kms.URL, name, strings.Join(more, "\n  "))
}

// kmsWireKeys lets keys in the tests' KMS be defined over the wire.
func kmsWireKeys(kms *fakekms.Server) string {
	return fmt.Sprintf(`
wire_keys {
  libraries = ["*"]
  regions   = [%q]
  endpoints = [%q]
}
`, fakekms.Region, kms.URL)
}

func kmsDefinition(kms *fakekms.Server, name, kmsKey string) wire.Definition {
	return wire.Definition{Type: "awskms", Name: name, AnyMount: true, AWSKMS: &wire.AWSKMSDefinition{AccessKey: fakekms.AccessKey,
		SecretKey: fakekms.SecretKey, Region: fakekms.Region, Endpoint: kms.URL, KMSKey: kmsKey, KeyType: "ECDSA", Curve: "P256"}}
}

// TestReloadAWSKMS changes, adds and removes keys in AWS KMS while others sign. A
// secret that KMS refuses is a fault of the file.
func TestReloadAWSKMS(t *testing.T) {
	token, kms := softhsm.New(t), fakekms.Start(t)
	blocks := daemon.Libraries(token.Store)
	h := daemon.NewHSMD(t, blocks+kmsKey(kms, "stays")+kmsKey(kms, "changes"))
	h.Start()
	load := startSigning(t, h, "stays", "changes")
	load.waitFor(t, 50)
	log := reload(t, h, blocks+kmsKey(kms, "stays")+kmsKey(kms, "changes", "requests_per_second = 200")+kmsKey(kms, "comes"))
	says(t, log, `"rule added","rule":"managed_key \"comes\""`, `"rule changed","rule":"managed_key \"changes\""`, "at most 200 signatures a second")
	load.waitFor(t, 50)
	load.finish(t)
	signerOf(t, wireClient(t, h.Socket), "comes")

	wrong := strings.Replace(kmsKey(kms, "comes"), fakekms.SecretKey, "another-secret-6b1e", 1)
	notTaken(t, h, blocks+kmsKey(kms, "stays")+wrong, "hsmd.hcl:", `managed key \"comes\"`, "KMS refuses the AWS secret key")
	says(t, reload(t, h, blocks+kmsKey(kms, "stays")), `"rule removed","rule":"managed_key \"comes\""`)
	signerOf(t, wireClient(t, h.Socket), "stays")
	if n := len(kms.Keys()); n != 3 {
		t.Errorf("%d keys were made", n)
	}
	check.NoSecrets(t, &daemon.Pair{Token: token, HSMD: h}, "another-secret-6b1e", fakekms.SecretKey)
}

// TestAWSKMSProtectsKey: a key that hsmd's file names cannot be had by another
// name, be it by another alias, by its ARN, or before it was looked for.
func TestAWSKMSProtectsKey(t *testing.T) {
	token, kms := softhsm.New(t), fakekms.Start(t)
	arn := kms.MakeKey("ECC_NIST_P256", "alias/ca").ARN
	kms.MoveAlias("alias/sly", arn)
	h := daemon.NewHSMD(t, daemon.Libraries(token.Store)+kmsKey(kms, "ca")+kmsWireKeys(kms))
	h.Start()
	c := wireClient(t, h.Socket)
	if _, err := c.Configure(t.Context(), &wire.ConfigureRequest{Definition: kmsDefinition(kms, "same", "alias/ca")}); !errors.Is(err, wire.Denied) {
		t.Errorf("the same alias: %v", err)
	}
	for name, id := range map[string]string{"by-alias": "alias/sly", "by-arn": arn, "by-id": arn[strings.LastIndex(arn, "/")+1:]} {
		if _, err := c.Configure(t.Context(), &wire.ConfigureRequest{Definition: kmsDefinition(kms, name, id)}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Test(t.Context(), &wire.TestRequest{Key: name}); !errors.Is(err, wire.Denied) || !strings.Contains(err.Error(), `names "ca"`) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := kms.Count("Sign"); n != 0 {
		t.Errorf("%d signatures", n)
	}
	signerOf(t, c, "ca")
}

// TestAWSKMSProtectsReplica: a multi-Region key that hsmd's file names in one
// region cannot be had in another.
func TestAWSKMSProtectsReplica(t *testing.T) {
	token, kms, far := softhsm.New(t), fakekms.Start(t), fakekms.StartIn(t, "us-east-1")
	far.Replicate(kms.MakeKey("ECC_NIST_P256", "alias/ca"), "alias/replica")
	h := daemon.NewHSMD(t, daemon.Libraries(token.Store)+kmsKey(kms, "ca")+strings.Replace(kmsWireKeys(far), fakekms.Region, "us-east-1", 1))
	h.Start()
	c := wireClient(t, h.Socket)
	d := kmsDefinition(far, "replica", "alias/replica")
	d.AWSKMS.Region = "us-east-1"
	if _, err := c.Configure(t.Context(), &wire.ConfigureRequest{Definition: d}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Test(t.Context(), &wire.TestRequest{Key: "replica"}); !errors.Is(err, wire.Denied) || !strings.Contains(err.Error(), `names "ca"`) {
		t.Errorf("the replica: %v", err)
	}
	if n := far.Count("Sign"); n != 0 {
		t.Errorf("%d signatures", n)
	}
}

// TestCase51_TokensGoOn: AWS KMS is silent while more requests wait for it than a
// connection holds; a token's key, over the same connection, signs.
func TestCase51_TokensGoOn(t *testing.T) {
	token, kms := softhsm.New(t), fakekms.Start(t)
	h := daemon.NewHSMD(t, daemon.Libraries(token.Store)+kmsKey(kms, "cloud")+hclKey(token, "soft"))
	h.Start()
	c := wireClient(t, h.Socket)
	cloud, soft := signerOf(t, c, "cloud"), signerOf(t, c, "soft")
	ofCloud, ofSoft := tbsCertificate(t, cloud), tbsCertificate(t, soft)
	kms.BlackHole(true)
	var waiting sync.WaitGroup
	for range 300 {
		waiting.Go(func() {
			err := cloud.ask(func(r *wire.SignRequest) { r.Message = ofCloud })
			if !errors.Is(err, wire.Unavailable) && !errors.Is(err, wire.Busy) {
				t.Errorf("AWS KMS is silent: %v", err)
			}
		})
	}
	for range 20 {
		if err := soft.ask(func(r *wire.SignRequest) { r.Message = ofSoft }); err != nil {
			t.Errorf("the token's key: %v", err)
		}
	}
	waiting.Wait()
	kms.BlackHole(false)
	eventually(t, "AWS KMS signs again", func() bool {
		return cloud.ask(func(r *wire.SignRequest) { r.Message = ofCloud }) == nil
	})
}

// TestAWSCredentialsStayInHSMD: hsmd finds its credentials in the environment; a
// library that is loaded does not.
func TestAWSCredentialsStayInHSMD(t *testing.T) {
	kms := fakekms.Start(t)
	for _, pair := range kms.Env() {
		name, value, _ := strings.Cut(pair, "=")
		t.Setenv(name, value)
	}
	m := hostilemodule.New(t, "environment AWS_SECRET_ACCESS_KEY")
	own := `
managed_key "awskms" "own" {
  kms_key            = "alias/own"
  key_type           = "ECDSA"
  curve              = "P256"
  allow_generate_key = true
}`
	h := daemon.NewHSMD(t, daemon.Library("hostile", m.Library, m.Env)+own)
	h.Start()
	c := wireClient(t, h.Socket)
	signerOf(t, c, "own")
	if _, err := c.Test(t.Context(), &wire.TestRequest{Key: "own"}); err != nil {
		t.Errorf("with hsmd's own credentials: %v", err)
	}
	if _, err := c.Status(t.Context(), &wire.StatusRequest{}); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(m.Results(t)); !strings.Contains(got, "{environment AWS_SECRET_ACCESS_KEY initializing No such file or directory}") {
		t.Errorf("a library in hsmd's worker: %s", got)
	}
}

// TestEd25519InAWSKMS: KMS signs with Ed25519 what is short. A CRL that has grown
// too long says so, and certificates are still signed.
func TestEd25519InAWSKMS(t *testing.T) {
	token, kms := softhsm.New(t), fakekms.Start(t)
	h := daemon.NewHSMD(t, daemon.Libraries(token.Store)+kmsWireKeys(kms))
	h.Start()
	p := daemon.NewPKID(t, h, "")
	p.Start()
	inKMS(t, &daemon.Pair{Token: token, HSMD: h, PKID: p}, kms, "ed", "Ed25519")
	p.Must(t, "POST", "sys/mounts/pki", map[string]any{"type": "pki"})
	p.Must(t, "POST", "pki/root/generate/kms", map[string]any{"managed_key_name": "ed", "common_name": "Root", "ttl": "720h"})
	p.Must(t, "POST", "pki/roles/r", map[string]any{"allow_any_name": true, "key_type": "ec", "ttl": "1h"})
	issue := func() string {
		return p.Must(t, "POST", "pki/issue/r", map[string]any{"common_name": "a.example.com"}).String(t, "serial_number")
	}
	p.Must(t, "POST", "pki/revoke", map[string]any{"serial_number": issue()})
	p.Must(t, "GET", "pki/crl/rotate", nil)
	for range 110 {
		p.Must(t, "POST", "pki/revoke", map[string]any{"serial_number": issue()})
	}
	p.Refused(t, "GET", "pki/crl/rotate", nil, 400, "at most 4096 octets with ed25519")
	issue()
}
