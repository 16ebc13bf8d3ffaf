package managedkey_test

import (
	"errors"
	"testing"

	"github.com/hsmpki/hsmpki/config"
	"github.com/hsmpki/hsmpki/hsmd/managedkey"
	"github.com/hsmpki/hsmpki/wire"
)

func TestInternalKeys(t *testing.T) {
	block := &config.InternalKeys{Library: "softhsm", Token: config.Token{Label: "ca", PIN: config.NewSecret("1234")}}
	internal, err := managedkey.NewInternalKeys(block)
	if err != nil {
		t.Fatal(err)
	}
	for _, keyType := range []wire.KeyType{wire.KeyRSA2048, wire.KeyRSA3072, wire.KeyRSA4096, wire.KeyP256, wire.KeyP384, wire.KeyP521, wire.KeyEd25519,
		wire.KeyMLDSA44, wire.KeyMLDSA65, wire.KeyMLDSA87} {
		d, err := internal.Definition("4f2e", keyType)
		if err != nil {
			t.Fatal(err)
		}
		if err := managedkey.Check(&d); err != nil {
			t.Errorf("%s: %v", keyType, err)
		}
		if d.Name != "internal-4f2e" || d.PKCS11.KeyLabel != d.Name || d.PKCS11.PIN != "1234" {
			t.Errorf("%s: %+v", keyType, d)
		}
	}
	if _, err := internal.Definition("4f2e", "RSA-1024"); !errors.Is(err, wire.Invalid) {
		t.Errorf("RSA-1024: %v", err)
	}

	d, err := internal.Definition("4f2e", wire.KeyP256)
	if err != nil {
		t.Fatal(err)
	}
	stored := (&managedkey.Key{Definition: d}).Shown()
	if stored.PKCS11.PIN != "" || d.PKCS11.PIN == "" {
		t.Errorf("shown with PIN %q; the definition has %q", stored.PKCS11.PIN, d.PKCS11.PIN)
	}
	if again, ok := internal.Complete(stored); !ok || again.PKCS11.PIN != "1234" || stored.PKCS11.PIN != "" {
		t.Errorf("completed: %v, %+v", ok, again.PKCS11)
	}
	block.Token.Label = "another"
	other, err := managedkey.NewInternalKeys(block)
	if err != nil {
		t.Fatal(err)
	}
	if d, ok := other.Complete(stored); ok || d.PKCS11.PIN != "" {
		t.Error("the PIN of another token was laid in")
	}
	if _, ok := (*managedkey.InternalKeys)(nil).Complete(stored); ok {
		t.Error("completed without internal_keys")
	}
}
