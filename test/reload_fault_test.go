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

// TestCase39_FaultyReload: a file with a fault changes nothing of what was in
// force, and each of its faults is logged with its place.
func TestCase39_FaultyReload(t *testing.T) {
	token := softhsm.New(t)
	library, key := daemon.Libraries(token.Store), hclKey(token, "ca")
	h := daemon.NewHSMD(t, library+key)
	h.Start()
	signing := startSigning(t, h, "ca")
	text := filepath.Join(t.TempDir(), "text.so")
	writeOrFail(t, text, "no library")

	sound := hclKey(token, "extra") + client("ops", 0, `"sign"`, `"*"`) // never comes into force
	for what, c := range map[string]struct {
		blocks string
		words  []string
	}{
		"no HCL":               {library + key + "kms_library {", []string{"hsmd.hcl:"}},
		"a duplicate stanza":   {library + library + key, []string{`kms_library \"softhsm\"`, "hsmd.hcl:"}},
		"a duplicate key":      {library + key + key, []string{`managed_key \"ca\"`, "hsmd.hcl:"}},
		"no such attribute":    {library + strings.Replace(key, "any_mount", "any_mounts", 1), []string{"any_mounts"}},
		"no such library":      {library + key + hclKeyIn("other", token, "x", token.PIN), []string{`no kms_library block has the name \"other\"`}},
		"a library in use":     {key, []string{`no kms_library block has the name \"softhsm\"`}},
		"no such user":         {library + key + strings.Replace(client("ghost", 0, "", ""), "= 0", `= "no-such-user"`, 1), []string{`there is no user \"no-such-user\"`}},
		"no file of a PIN":     {library + key + hclKeyIn("softhsm", token, "x", "file:/none"), []string{`managed_key \"x\": `, "/none"}},
		"two faults":           {library + key + hclKeyIn("softhsm", token, "x", "file:/none1") + hclKeyIn("softhsm", token, "y", "file:/none2"), []string{"/none1", "/none2", `"faults":2`}},
		"no file of a library": {library + key + librariesAt(token.Store, "new", "/none.so"), []string{`kms_library \"new\": `, "/none.so"}},
		"no shared object":     {library + key + librariesAt(token.Store, "new", text), []string{`kms_library \"new\": `, text}},
		"no PKCS#11 library":   {library + key + librariesAt(token.Store, "new", otherLibrary(t)), []string{`kms_library \"new\": `, "C_GetFunctionList"}},
		"a moved library":      {librariesAt(token.Store, "softhsm", "/none.so") + key, []string{`kms_library \"softhsm\": its new worker is of no use`, "/none.so"}},
	} {
		t.Run(what, func(t *testing.T) {
			notTaken(t, h, c.blocks+sound, append(c.words, "hsmd.hcl:")...)
			signing.waitFor(t, 2)
		})
	}
	if err := os.Remove(h.Config); err != nil {
		t.Fatal(err)
	}
	if log, taken := h.Reload(); taken || !strings.Contains(log, "no such file") {
		t.Errorf("without a file: %v\n%s", taken, log)
	}
	log := reload(t, h, library+key)
	says(t, log, `"changed_rules":0`)
	signing.finish(t)
	if pids := h.WorkerPIDs(); len(pids) != 1 {
		t.Errorf("workers %v are left of what was not taken, want one", pids)
	}
}

// librariesAt is the kms_library block of a store with another name and file.
func librariesAt(s *softhsm.Store, name, path string) string {
	at := *s
	at.Library = path
	return strings.Replace(daemon.Libraries(&at), `"softhsm"`, fmt.Sprintf("%q", name), 1)
}

// otherLibrary is a shared object that is on every machine and no PKCS#11
// library.
func otherLibrary(t *testing.T) string {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(maps)) {
		if fields := strings.Fields(line); len(fields) == 6 && strings.Contains(fields[5], "libc.so") {
			return fields[5]
		}
	}
	t.Fatal("the test is not linked to libc")
	return ""
}

func writeOrFail(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
