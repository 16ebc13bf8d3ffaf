package main

import (
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/test/softhsm"
	"github.com/hsmpki/hsmpki/wire"
)

// TestTwoNamesOfOneKey: where the words of a file do not tell that two names are
// one key pair, key list says it when the keys are found.
func TestTwoNamesOfOneKey(t *testing.T) {
	token := softhsm.New(t)
	path, socket := file(t, token, func(s string) string {
		_, key, _ := strings.Cut(s, "managed_key")
		key = strings.NewReplacer(`"root" {`, `"by-id" {`, `key_label          = "root"`, `key_id = "01"`, "allow_generate_key = true", "").Replace(key)
		return s + "managed_key" + key
	})
	running(t, path, socket)
	token.Tool(t, "--keypairgen", "--key-type", "EC:prime256v1", "--label", "root", "--id", "01")
	client := connect(t, socket)
	for _, name := range []string{"root", "by-id"} {
		if _, err := client.Test(t.Context(), &wire.TestRequest{Key: name}); err != nil {
			t.Fatal(err)
		}
	}
	_, out, _ := hsmdRun("key", "list", "-find", "-address="+socket)
	if want := "One key pair has the names: by-id, root\n"; strings.Count(out, "One key pair") != 1 || !strings.Contains(out, want) {
		t.Errorf("key list: want %q\n%s", want, out)
	}
}
