package backendtest_test

import (
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/test/token"
	"github.com/hsmpki/hsmpki/wire"
)

// TestABrokenKeyHarmsNoOther: the TPM's library (1.9) makes keys of P-521 and
// cannot sign with them, and says CKR_HOST_MEMORY. Keys beside such a one sign
// on, however often it is asked for.
func TestABrokenKeyHarmsNoOther(t *testing.T) {
	k := token.NewTPM(t).Add(t)
	env := map[string]string{}
	for _, set := range k.Env {
		name, value, _ := strings.Cut(set, "=")
		env[name] = value
	}
	service := supervised(t, k.Library, env)
	define := func(name, curve string) {
		t.Helper()
		p := wire.PKCS11Definition{Library: "library", TokenLabel: k.Label, PIN: k.PIN, KeyLabel: name, Mechanism: 0x1041, Curve: curve}
		d := wire.Definition{Type: "pkcs11", Name: name, AllowGenerateKey: true, PKCS11: &p}
		if _, err := service.Configure(t.Context(), &wire.ConfigureRequest{Definition: d, Worker: worker(k.Library)}); err != nil {
			t.Fatal(err)
		}
	}
	define("sound", "P256")
	define("broken", "P521")
	made, err := service.Generate(t.Context(), &wire.GenerateRequest{Key: "sound", ID: "x"})
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if _, err := service.Generate(t.Context(), &wire.GenerateRequest{Key: "broken", ID: "x"}); err == nil {
			t.Fatal("a key of P-521 works: this library is not what it was")
		}
		if err := sign(t.Context(), service, "sound", made.Key.PublicKey); err != nil {
			t.Errorf("the other key: %v", err)
		}
	}
	for _, away := range []int{1, 0} {
		status, err := service.Status(t.Context(), &wire.StatusRequest{})
		if err != nil || len(status.Libraries) != 1 || len(status.Libraries[0].Away) != away {
			t.Errorf("the status shows %+v, %v; want %d tokens that are away for a key", status, err, away)
		}
		_, _ = service.Forget(t.Context(), &wire.ForgetRequest{Key: "broken"})
	}
}
