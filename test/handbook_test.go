package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/test/fakekms"
	"github.com/hsmpki/hsmpki/test/handbook"
	"github.com/hsmpki/hsmpki/test/machine"
	"github.com/hsmpki/hsmpki/test/secret"
)

// handbookPages are the pages of the handbook that something is done on.
func handbookPages(t *testing.T) []string {
	t.Helper()
	pages, err := filepath.Glob("../handbook/*.md")
	if err != nil || len(pages) < 2 {
		t.Fatalf("pages %v (%v)", pages, err)
	}
	return slices.DeleteFunc(pages, func(p string) bool { return filepath.Base(p) == "README.md" })
}

// TestHandbook does what the pages of the handbook say, on machines with the
// units, users and folders that they speak of. Where no machine can be booted, what
// the pages show is at least well formed.
func TestHandbook(t *testing.T) {
	for _, page := range handbookPages(t) {
		steps, err := handbook.Read(page, "")
		if err != nil {
			t.Error(err)
			continue
		}
		t.Run(strings.TrimSuffix(filepath.Base(page), ".md"), func(t *testing.T) {
			t.Parallel()
			room := machine.NewRoom(t, "..")
			if err := room.Refused(); err != nil {
				t.Logf("read over, and nothing of it done: no machine can be booted here: %v", err)
				readOver(t, steps)
				return
			}
			play(t, room, steps)
		})
	}
}

// readOver has a shell read the commands without running them.
func readOver(t *testing.T, steps []handbook.Step) {
	t.Helper()
	for _, s := range steps {
		if s.Kind != handbook.Commands {
			continue
		}
		cmd := exec.Command("bash", "-n")
		cmd.Stdin = strings.NewReader(s.Text)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", s.Place, err, out)
		}
	}
}

func play(t *testing.T, room *machine.Room, steps []handbook.Step) {
	t.Helper()
	machines := make(map[string]*machine.Machine)
	kms := fakekms.Start(t)
	env := []string{"FREE_ADDRESS=" + freePort(t), "KMS_URL=" + kms.URL, "KMS_REGION=" + fakekms.Region, "KMS_ACCESS_KEY=" + fakekms.AccessKey, "KMS_SECRET_KEY=" + fakekms.SecretKey}
	for _, s := range steps {
		m := machines[s.Machine]
		if (m == nil) != (s.Kind == handbook.Boot) {
			t.Fatalf("%s: machine %q is not there, or is there already", s.Place, s.Machine)
		}
		switch s.Kind {
		case handbook.Boot:
			m, err := room.Boot(s.Machine, s.Offline, env)
			if err != nil {
				t.Fatalf("%s: %v", s.Place, err)
			}
			machines[s.Machine] = m
		case handbook.Lost:
			lookForSecrets(t, m)
			m.Lose()
			delete(machines, s.Machine)
		case handbook.File:
			to := ">"
			if s.Append {
				to = ">>"
			}
			if out, err := m.Run(fmt.Sprintf("mkdir -p %s && cat %s %s <<'END OF FILE'\n%sEND OF FILE\n", filepath.Dir(s.Path), to, s.Path, s.Text), nil, false); err != nil {
				t.Fatalf("%s: %s: %v\n%s", s.Place, s.Path, err, out)
			}
		case handbook.Commands:
			for _, answer := range s.Typed {
				secret.Add("what was typed", answer)
			}
			out, err := m.Run(s.Text, s.Typed, s.Refused)
			t.Logf("%s on %s:\n%s%s", s.Place, s.Machine, s.Text, out)
			if line, missing := s.Missing(out); err == nil && missing {
				err = fmt.Errorf("no line %q was printed", line)
			}
			if err != nil {
				t.Fatalf("%s: %v\n%s", s.Place, err, m.Journal(40))
			}
		}
	}
	for _, m := range machines {
		lookForSecrets(t, m)
	}
}

// lookForSecrets looks into what both daemons of a machine have logged and kept
// for what was typed there, and what has a secret's shape.
func lookForSecrets(t *testing.T, m *machine.Machine) {
	t.Helper()
	journal := m.Journal(0)
	if _, err := os.Stat(m.Path("/var/lib/hsmd/lock")); err == nil && !strings.Contains(journal, "hsmd is ready") {
		t.Errorf("the journal of %s has no hsmd in it:\n%.500s", m.Name, journal)
	}
	secret.Look(t, "the journal of "+m.Name, []byte(journal))
	for _, dir := range []string{"/var/lib/hsmd", "/var/lib/pkid", "/var/log/pkid"} {
		if _, err := os.Stat(m.Path(dir)); err == nil {
			secret.LookIn(t, m.Path(dir), func(string) bool { return false })
		}
	}
}
