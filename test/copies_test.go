package test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/test/daemon"
	"github.com/hsmpki/hsmpki/test/softhsm"
)

// TestReloadCopies: a key gets a copy, is signed with on it alone while the first
// token is gone, and loses it again, under load; no request fails.
func TestReloadCopies(t *testing.T) {
	token := softhsm.New(t)
	token.Tool(t, "--keypairgen", "--key-type", "EC:prime256v1", "--label", "ca", "--id", "01", "--sensitive")
	spare := token.Clone(t)
	one := daemon.Libraries(token.Store) + librariesAt(spare.Store, "spare", spare.Library) + hclKey(token, "ca")
	two := strings.Replace(one, "any_mount          = true\n", fmt.Sprintf("any_mount          = true\n  copy {\n    library     = \"spare\"\n    token_label = %q\n    pin         = %q\n  }\n", spare.Label, spare.PIN), 1)
	h := daemon.NewHSMD(t, one)
	h.Start()
	load := startSigning(t, h, "ca", "ca", "ca")
	load.waitFor(t, 100)
	says(t, reload(t, h, two), `rule changed`, "also on library spare, token ca")
	load.waitFor(t, 100)
	if err := os.Rename(token.Tokens, filepath.Join(token.Dir, "away")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "hsmd says that a copy is away", func() bool { return strings.Contains(h.Log(), "a copy of a key is away") })
	load.waitFor(t, 300)
	if err := os.Rename(filepath.Join(token.Dir, "away"), token.Tokens); err != nil {
		t.Fatal(err)
	}
	load.finish(t)
	if strings.Contains(h.Log(), "ALARM") || strings.Contains(h.Log(), token.PIN) {
		t.Errorf("hsmd's log has an alarm or the PIN in it:\n%s", h.Log())
	}
}
