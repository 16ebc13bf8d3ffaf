package confinement_test

import (
	"os"
	"os/exec"
	_ "os/user" // calls the C library, which links this program to it as hsmd is
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/hsmpki/hsmpki/hsmd/confinement"
)

// object compiles an empty shared object.
func object(t *testing.T, path string, args ...string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	args = append([]string{"-shared", "-fPIC", "-Wl,--no-as-needed", "-x", "c", "/dev/null", "-x", "none", "-o", path}, args...)
	if said, err := exec.Command("cc", args...).CombinedOutput(); err != nil {
		t.Fatalf("cc: %v\n%s", err, said)
	}
}

// TestLinkedAsTheLoader compares with what the loader itself lists: everything
// that it would map is found.
func TestLinkedAsTheLoader(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	// vendor.so needs one library of each kind: beside it, by RUNPATH; below it,
	// by the RPATH of what needs it; in LD_LIBRARY_PATH; by its path; and the
	// system's.
	object(t, at("env/libenv.so"))
	object(t, at("sub/libdeep.so"))
	object(t, at("sub/libinner.so"), at("sub/libdeep.so"))
	object(t, at("sub/libpath.so"))
	object(t, at("libouter.so"), at("sub/libinner.so"), "-Wl,--disable-new-dtags,-rpath,$ORIGIN/sub")
	object(t, at("vendor.so"), at("libouter.so"), "-L"+at("env"), "-lenv", "-l:libcrypto.so.3", "-l:libstdc++.so.6", at("sub/libpath.so"), "-Wl,-rpath-link,"+at("sub"), "-Wl,--enable-new-dtags,-rpath,${ORIGIN}")
	for _, c := range []struct {
		object  string
		environ []string
		least   int
	}{
		{at("vendor.so"), []string{"LD_LIBRARY_PATH=" + at("none") + ":" + at("env")}, 8},
		{at("vendor.so"), nil, 6},
		{"/usr/lib/softhsm/libsofthsm2.so", nil, 4},
		{self, nil, 2},
	} {
		listed := exec.Command("ldd", c.object)
		listed.Env = c.environ
		out, err := listed.Output()
		if err != nil {
			t.Fatalf("ldd %s: %v", c.object, err)
		}
		found, err := confinement.Linked(c.object, c.environ...)
		if err != nil {
			t.Fatal(err)
		}
		for i, f := range found {
			if found[i], err = filepath.EvalSymlinks(f); err != nil {
				t.Error(err)
			}
		}
		lines := regexp.MustCompile(`(?m)^\s+(?:\S+ => )?(/\S+) \(0x`).FindAllSubmatch(out, -1)
		if len(lines) < c.least {
			t.Errorf("%s: the loader lists %d objects, want %d\n%s", c.object, len(lines), c.least, out)
		}
		for _, line := range lines {
			real, err := filepath.EvalSymlinks(string(line[1]))
			if err != nil || !slices.Contains(found, real) {
				t.Errorf("%s: the loader maps %s, %v; found are %v", c.object, real, err, found)
			}
		}
	}
}

// TestLinkedOfNoObject: a library that is not one is the loader's to refuse.
func TestLinkedOfNoObject(t *testing.T) {
	for name, content := range map[string]string{"text": "text", "empty": "", "head": "\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff"} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if found, err := confinement.Linked(path); err != nil || !slices.Equal(found, []string{path}) {
			t.Errorf("%s: %v, %v", name, found, err)
		}
	}
}
