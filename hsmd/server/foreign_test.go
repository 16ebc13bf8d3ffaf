package server_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/config"
	"github.com/hsmpki/hsmpki/test/softhsm"
	"github.com/hsmpki/hsmpki/wire"
)

// TestLabelThatIsNoUTF8: others may have given a key on the token a label in
// another encoding. hsmd is told of the others all the same: it asks for the
// status to write down which PIN was refused.
func TestLabelThatIsNoUTF8(t *testing.T) {
	token := softhsm.New(t)
	token.Tool(t, "--keypairgen", "--key-type", "EC:prime256v1", "--id", "01", "--label", "schl\xfcssel")
	t.Setenv("SOFTHSM2_CONF", token.Conf)
	cfg, err := config.ParseHSMD("hsmd.hcl", fmt.Appendf(nil, `
kms_library "pkcs11" {
  name    = "soft"
  library = %q
}
managed_key "pkcs11" "ec" {
  library     = "soft"
  token_label = %q
  pin         = %q
  key_id      = "01"
  mechanism   = "0x1041"
}
`, token.Library, token.Label, token.PIN))
	if err != nil {
		t.Fatal(err)
	}
	client, _, _ := serveLibrary(t, cfg)
	if _, err := client.Test(ctx, &wire.TestRequest{Key: "ec"}); err != nil {
		t.Fatal(err)
	}
	status := must[*wire.StatusResponse](t)(client.Status(ctx, &wire.StatusRequest{}))
	var keys []string
	for _, shown := range status.Libraries[0].Tokens {
		keys = append(keys, shown.Keys...)
	}
	if !slices.ContainsFunc(keys, func(k string) bool { return strings.HasPrefix(k, "schl") }) {
		t.Errorf("keys %q", keys)
	}
}
