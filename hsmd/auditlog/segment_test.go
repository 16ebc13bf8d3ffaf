package auditlog_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/hsmd/auditlog"
)

func small(c *auditlog.Config) { c.SegmentSize = 4 << 10 }

func (l *trail) segments() []string {
	l.t.Helper()
	all, err := filepath.Glob(filepath.Join(filepath.Dir(l.config.Path), "audit-*.log"))
	if err != nil {
		l.t.Fatal(err)
	}
	slices.Sort(all)
	return all
}

func filled(t *testing.T) *trail {
	l := start(t, small)
	for i := range 100 {
		l.certificate(fmt.Sprintf("%02x", i))
	}
	l.close()
	return l
}

func TestSegments(t *testing.T) {
	l := filled(t)
	before := l.verify()
	if before.Segments < 4 || before.Kinds[auditlog.Seal] != before.Segments-1 {
		t.Fatalf("%+v", before)
	}
	for _, s := range l.segments() {
		info, err := os.Stat(s)
		if err != nil || info.Mode() != 0o400 || info.Size() > 6<<10 {
			t.Errorf("%s: %v, %d, %v", s, info.Mode(), info.Size(), err)
		}
	}
	l.open()
	l.certificate("ff")
	l.close()
	if after := l.verify(); after.Next != before.Next+3 {
		t.Errorf("%+v", after)
	}
}

// TestSegmentEdits: what is done to whole segments is found.
func TestSegmentEdits(t *testing.T) {
	edit := func(t *testing.T, path string, change func([]byte) []byte) {
		t.Helper()
		text, err := os.ReadFile(path)
		if err == nil {
			err = os.Chmod(path, 0o600)
		}
		if err == nil {
			err = os.WriteFile(path, change(text), 0o400)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		do     func(t *testing.T, l *trail, s []string) error
		want   string
		starts bool // old segments are read by verify, and not at each start
	}{
		"the first removed": {func(_ *testing.T, _ *trail, s []string) error { return os.Remove(s[0]) }, "the segments before it were removed", true},
		"one removed":       {func(_ *testing.T, _ *trail, s []string) error { return os.Remove(s[1]) }, "segments are missing", false},
		"the last removed":  {func(_ *testing.T, _ *trail, s []string) error { return os.Remove(s[len(s)-1]) }, "line", false},
		"what is written removed": {func(_ *testing.T, l *trail, _ []string) error { return os.Remove(l.config.Path) },
			"", false},
		"an octet of an old one": {func(t *testing.T, _ *trail, s []string) error {
			edit(t, s[0], func(b []byte) []byte { b[len(b)/2] ^= 1; return b })
			return nil
		}, "changed", true},
		"an old one without its seal": {func(t *testing.T, _ *trail, s []string) error {
			edit(t, s[0], func(b []byte) []byte { all := lines(b); return join(all[:len(all)-1]...) })
			return nil
		}, "ends with line 19, and its name says 20", true},
		"the last without its seal": {func(t *testing.T, _ *trail, s []string) error {
			edit(t, s[len(s)-1], func(b []byte) []byte { all := lines(b); return join(all[:len(all)-1]...) })
			return nil
		}, "", false},
		"two changed places": {func(t *testing.T, _ *trail, s []string) error {
			one, err := os.ReadFile(s[0])
			if err != nil {
				return err
			}
			edit(t, s[1], func(b []byte) []byte { one, b = b, one; return b })
			edit(t, s[0], func([]byte) []byte { return one })
			return nil
		}, "line 0 was expected", true},
		"all that is here begun anew": {func(t *testing.T, l *trail, s []string) error {
			for _, path := range append(s, l.config.Path) {
				if err := os.Remove(path); err != nil {
					return err
				}
			}
			return nil
		}, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			l := filled(t)
			if err := c.do(t, l, l.segments()); err != nil {
				t.Fatal(err)
			}
			if _, err := auditlog.Verify(l.config.Path, l.config.Checkpoints, ""); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("verify: %v, want %q", err, c.want)
			}
			opened, err := auditlog.Open(l.config)
			if err == nil {
				opened.Close()
			}
			if (err == nil) != c.starts {
				t.Errorf("open: %v", err)
			}
		})
	}
}

// TestCrashWhileSealing stops at each step of sealing a segment: the next start
// goes on from there.
func TestCrashWhileSealing(t *testing.T) {
	for name, undo := range map[string]func(l *trail, last string) error{
		"sealed, not renamed": func(l *trail, last string) error {
			return errors.Join(os.Chmod(last, 0o600), os.Rename(last, l.config.Path))
		},
		"the next not begun": func(l *trail, _ string) error { return os.Remove(l.config.Path) },
		"the next prepared":  func(l *trail, _ string) error { return os.Rename(l.config.Path, l.config.Path+".next") },
	} {
		t.Run(name, func(t *testing.T) {
			l := start(t, small)
			for i := 0; len(l.segments()) < 2; i++ {
				l.certificate(fmt.Sprintf("%02x", i))
			}
			l.close()
			// As it was when the second was sealed.
			segments := l.segments()
			text := l.read()
			if at := bytes.IndexByte(text, '\n'); at >= 0 {
				l.write(nil)
			}
			if err := os.Remove(l.config.Checkpoints); err != nil {
				t.Fatal(err)
			}
			if err := undo(l, segments[1]); err != nil {
				t.Fatal(err)
			}
			l.open()
			l.certificate("ff")
			l.close()
			if r := l.verify(); r.Segments != 3 || r.Kinds[auditlog.Start] != 2 {
				t.Errorf("%+v", r)
			}
		})
	}
}

// TestTreeIsMadeAgain: its hashes follow from the lines, whatever happened to the
// file.
func TestTreeIsMadeAgain(t *testing.T) {
	for name, harm := range map[string]func(path string) error{
		"removed": os.Remove,
		"cut":     func(path string) error { return os.Truncate(path, 1000) },
		"longer": func(path string) error {
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			if err == nil {
				_, err = f.Write(make([]byte, 1000))
				f.Close()
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := filled(t)
			if err := harm(filepath.Join(filepath.Dir(l.config.Path), "audit.tree")); err != nil {
				t.Fatal(err)
			}
			l.open()
			l.certificate("ff")
			l.close()
			l.verify()
		})
	}
}
