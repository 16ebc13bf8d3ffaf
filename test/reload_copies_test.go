package test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/test/daemon"
	"github.com/hsmpki/hsmpki/test/faultmodule"
	"github.com/hsmpki/hsmpki/test/softhsm"
)

// withCopy gives a key of a file a copy in another library.
func withCopy(key, library string, token *softhsm.Token, pin string) string {
	return strings.Replace(key, "any_mount          = true\n",
		fmt.Sprintf("any_mount          = true\n  copy {\n    library     = %q\n    token_label = %q\n    pin         = %q\n  }\n", library, token.Label, pin), 1)
}

// TestReloadCopyRefused: a PIN that a copy's token refuses is a fault of the
// file, at the copy's line, though the key is there without it.
func TestReloadCopyRefused(t *testing.T) {
	token := softhsm.New(t)
	token.Tool(t, "--keypairgen", "--key-type", "EC:prime256v1", "--label", "ca", "--id", "01", "--sensitive")
	spare := token.Clone(t)
	libraries := daemon.Libraries(token.Store) + librariesAt(spare.Store, "spare", spare.Library)
	h := daemon.NewHSMD(t, libraries+hclKey(token, "ca"))
	h.Start()
	signing := startSigning(t, h, "ca")
	wrong := libraries + withCopy(hclKey(token, "ca"), "spare", spare, "no-pin-of-this-1")
	notTaken(t, h, wrong, `managed key \"ca\": the token refused the PIN`)
	text, err := os.ReadFile(h.Config)
	if err != nil {
		t.Fatal(err)
	}
	before, _, _ := strings.Cut(string(text), "no-pin-of-this-1")
	notTaken(t, h, wrong, fmt.Sprintf(`hsmd.hcl:%d: managed key \"ca\": token`, strings.Count(before, "\n")+1), "has refused this PIN before")
	signing.waitFor(t, 5)
	signing.finish(t)
}

// TestReloadKeepsBetterWorker replaces the file of a library while the new
// worker cannot reach the key: the old worker goes on, be it the key's only one
// or a copy's.
func TestReloadKeepsBetterWorker(t *testing.T) {
	token := softhsm.New(t)
	token.Tool(t, "--keypairgen", "--key-type", "EC:prime256v1", "--label", "ca", "--id", "01", "--sensitive")
	spare := token.Clone(t)
	faults := faultmodule.New(t, spare.Library)
	for what, blocks := range map[string]string{
		"one token": faulty(spare.Store, faults, "spare") + hclKeyIn("spare", spare, "ca", spare.PIN),
		"a copy":    daemon.Libraries(token.Store) + faulty(spare.Store, faults, "spare") + withCopy(hclKey(token, "ca"), "spare", spare, spare.PIN),
	} {
		t.Run(what, func(t *testing.T) {
			faults.Set(t)
			h := daemon.NewHSMD(t, blocks)
			h.Start()
			signing := startSigning(t, h, "ca")
			before := h.WorkerPIDs()
			content, err := os.ReadFile(faults.Library)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(faults.Library); err != nil {
				t.Fatal(err)
			}
			writeOrFail(t, faults.Library, string(content))
			const deviceError = 0x30 // CKR_DEVICE_ERROR
			faults.Set(t, faultmodule.Return("C_Login", deviceError))
			says(t, reload(t, h, blocks), `"msg":"the new worker of a library does not find a key, the old one stays","library":"spare","key":"ca"`)
			signing.waitFor(t, 5)
			signing.finish(t)
			eventually(t, "the new worker ends", func() bool { return slices.Equal(h.WorkerPIDs(), before) })
		})
	}
}
