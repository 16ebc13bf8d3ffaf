package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/test/daemon"
)

// manual is what a program prints of itself.
func manual(t *testing.T, program, kind string) string {
	t.Helper()
	out, err := exec.Command(filepath.Join(daemon.Bin(t), program), "manual", kind).Output()
	if err != nil {
		t.Fatalf("%s manual %s: %v", program, kind, err)
	}
	return string(out)
}

func TestManualsNameEachCommand(t *testing.T) {
	for program, commands := range map[string][]string{
		"hsmd": {"server", "check", "key", "audit", "approve"},
		"pkid": {"server", "quickstart", "secrets", "policy", "storage"},
	} {
		page, fish := manual(t, program, "man"), manual(t, program, "fish")
		if !strings.Contains(page, ".TH "+program+" 8") {
			t.Errorf("%s: no title in\n%.200s", program, page)
		}
		for _, command := range commands {
			if !strings.Contains(page, ".SH "+command) {
				t.Errorf("%s's manual page has no %q", program, command)
			}
			if !strings.Contains(fish, "-a '"+command+"'") {
				t.Errorf("%s's completions for fish have no %q", program, command)
			}
		}
		if strings.Contains(page, "manual") {
			t.Errorf("%s's manual page has the command that prints it", program)
		}
	}
}

// TestBashCompletes has bash complete lines, with the programs in its PATH.
func TestBashCompletes(t *testing.T) {
	for _, c := range []struct {
		program, line string
		want          []string
	}{
		{"hsmd", "hsmd ke", []string{"key"}},
		{"hsmd", "hsmd key ", []string{"list", "read", "test"}},
		{"hsmd", "hsmd server --con", []string{"--config"}},
		{"pkid", "pkid quick", []string{"quickstart"}},
		{"pkid", "pkid secrets en", []string{"enable"}},
		{"pkid", "pkid no-such", nil},
	} {
		script := manual(t, c.program, "bash") + `
COMP_WORDS=($1)
[[ $1 == *" " ]] && COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_` + c.program + `
printf '%s\n' "${COMPREPLY[@]}"
`
		cmd := exec.Command("bash", "-c", script, "bash", c.line)
		cmd.Env = append(os.Environ(), "PATH="+daemon.Bin(t)+":"+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%q: %v\n%s", c.line, err, out)
			continue
		}
		if got := strings.Fields(string(out)); !slices.Equal(got, c.want) {
			t.Errorf("%q becomes %q, want %q", c.line, got, c.want)
		}
	}
}
