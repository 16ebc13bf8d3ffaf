package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/test/daemon"
)

// exposure is what the units may have at most, as shipped: 1.5 of 10.
const exposure = "--threshold=15"

// TestUnits has systemd read the units, alone and with each drop-in, and weigh
// them. The figures are in the log.
func TestUnits(t *testing.T) {
	for _, unit := range []string{"../hsmd/systemd/hsmd.service", "../hsmd/systemd/hsmd.socket", "../pkid/systemd/pkid.service"} {
		name := filepath.Base(unit)
		t.Run(name, func(t *testing.T) {
			checkUnit(t, unit, "")
			if strings.HasSuffix(name, ".socket") {
				return
			}
			t.Log(analyze(t, "security", "--offline=true", "--no-pager", exposure, installed(t, unit, "")))
			dropIns, err := filepath.Glob(filepath.Join(filepath.Dir(unit), "drop-ins", "*.conf"))
			if err != nil || len(dropIns) == 0 {
				t.Fatalf("drop-ins: %v", err)
			}
			for _, dropIn := range dropIns {
				checkUnit(t, unit, dropIn)
				t.Log(filepath.Base(dropIn), analyze(t, "security", "--offline=true", "--no-pager", installed(t, unit, dropIn)))
			}
		})
	}
}

// checkUnit has systemd read a unit. It says nothing of one that is well.
func checkUnit(t *testing.T, unit, dropIn string) {
	t.Helper()
	out, err := exec.Command("systemd-analyze", "verify", "--man=no", installed(t, unit, dropIn)).CombinedOutput()
	said := string(out)
	if filepath.Base(dropIn) == "notify-reload.conf" && strings.Count(said, "\n") == 1 && strings.Contains(said, "notify-reload") {
		said = "" // before systemd 253, for which it is not
	}
	if err != nil || said != "" {
		t.Errorf("%s with %q: %v\n%s", filepath.Base(unit), filepath.Base(dropIn), err, out)
	}
}

// installed is a copy of the unit that names the programs where they are now,
// with a drop-in beside it.
func installed(t *testing.T, unit, dropIn string) string {
	t.Helper()
	dir := t.TempDir()
	text, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, filepath.Base(unit))
	files := map[string]string{path: strings.ReplaceAll(string(text), "/usr/bin", daemon.Bin(t))}
	if filepath.Ext(unit) == ".socket" { // it is verified with its service
		service, err := os.ReadFile(strings.TrimSuffix(unit, ".socket") + ".service")
		if err != nil {
			t.Fatal(err)
		}
		files[strings.TrimSuffix(path, ".socket")+".service"] = strings.ReplaceAll(string(service), "/usr/bin", daemon.Bin(t))
	}
	if dropIn != "" {
		text, err := os.ReadFile(dropIn)
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.Join(path+".d", filepath.Base(dropIn))] = string(text)
	}
	for path, text := range files {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// analyze gives the last line of what systemd-analyze says.
func analyze(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("systemd-analyze", args...).CombinedOutput()
	if err != nil {
		t.Errorf("systemd-analyze %v: %v\n%s", args, err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}
