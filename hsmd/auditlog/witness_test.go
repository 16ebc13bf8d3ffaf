package auditlog_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/hsmd/auditlog"
	"github.com/hsmpki/hsmpki/test/witness"
)

// witnessed is a log with a witness that knows it.
func witnessed(t *testing.T, required bool) (*trail, *witness.Witness) {
	t.Helper()
	w := witness.Start(t)
	l := start(t)
	w.Trust(l.Verifier())
	l.close()
	l.config.Witnesses = []*auditlog.Witness{newWitness(t, w, required)}
	return l, w
}

func newWitness(t *testing.T, w *witness.Witness, required bool) *auditlog.Witness {
	t.Helper()
	made, err := auditlog.NewWitness("elsewhere", w.URL, w.Key, required)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// reopen is a start of hsmd: nothing is known of the witness but its name.
func (l *trail) reopen(w *witness.Witness, required bool) error {
	l.t.Helper()
	l.config.Witnesses = []*auditlog.Witness{newWitness(l.t, w, required)}
	opened, err := auditlog.Open(l.config)
	if err == nil {
		l.Log = opened
	}
	return err
}

func (l *trail) checkpoint() error { return l.Checkpoint(context.Background()) }

// saved copies all files of a log.
func (l *trail) saved() map[string][]byte {
	l.t.Helper()
	files := map[string][]byte{}
	for _, pattern := range []string{filepath.Join(filepath.Dir(l.config.Path), "*"), l.config.Checkpoints} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			l.t.Fatal(err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				l.t.Fatal(err)
			}
			files[path] = text
		}
	}
	return files
}

func (l *trail) restore(files map[string][]byte) {
	l.t.Helper()
	if err := os.RemoveAll(filepath.Dir(l.config.Path)); err != nil {
		l.t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Dir(l.config.Path), 0o700); err != nil {
		l.t.Fatal(err)
	}
	for path, text := range files {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			l.t.Fatal(err)
		}
	}
}

func TestWitnessSigns(t *testing.T) {
	l, w := witnessed(t, true)
	l.open()
	for i := range 20 {
		l.certificate(fmt.Sprintf("%02x", i))
		if err := l.checkpoint(); err != nil {
			t.Fatal(err)
		}
		if w.Size() < int64(2*i) {
			t.Errorf("the witness has signed for %d lines of %d", w.Size(), l.Size())
		}
	}
	l.close()
	if r := l.verify(); uint64(w.Size()) != r.Next || r.Checkpoint != r.Next {
		t.Errorf("the witness has signed for %d lines: %+v", w.Size(), r)
	}
	text, err := os.ReadFile(l.config.Checkpoints)
	if err != nil || bytes.Count(text, []byte("— ")) != 2 {
		t.Errorf("the checkpoint: %v\n%s", err, text)
	}
	r, err := auditlog.Verify(l.config.Path, l.config.Checkpoints, "", newWitness(t, w, true))
	if err != nil || !slices.Equal(r.Cosigned, []string{"elsewhere"}) {
		t.Errorf("cosigned by %v, %v", r, err)
	}
	if err := l.reopen(w, true); err != nil {
		t.Fatal(err)
	}
	l.close()
}

// TestOldCopyIsFoundByTheWitness: everything that this machine knows of its log is
// put back to what it was.
func TestOldCopyIsFoundByTheWitness(t *testing.T) {
	for name, c := range map[string]struct {
		then func(l *trail, w *witness.Witness) // after it was put back, before it is started
		want string
	}{
		"shorter": {func(*trail, *witness.Witness) {}, "an old copy put in its place"},
		"gone on from, behind the witness's back": {func(l *trail, w *witness.Witness) {
			w.Away(true)
			if err := l.reopen(w, false); err != nil {
				l.t.Fatal(err)
			}
			for range 40 {
				l.certificate("ff")
			}
			l.close()
			w.Away(false)
		}, "does not go on from"},
		"gone": {func(l *trail, _ *witness.Witness) {
			l.restore(nil)
			if err := os.Remove(l.config.Checkpoints); err != nil {
				l.t.Fatal(err)
			}
		}, "an old copy put in its place"},
	} {
		t.Run(name, func(t *testing.T) {
			l, w := witnessed(t, false)
			l.open()
			l.certificate("01")
			l.close()
			old := l.saved()
			if err := l.reopen(w, false); err != nil {
				t.Fatal(err)
			}
			for range 10 {
				l.certificate("02")
			}
			l.close()
			l.restore(old)
			c.then(l, w)
			before := l.saved()
			err := l.reopen(w, false)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "not the one that was witnessed") {
				t.Errorf("opened: %v, want %q", err, c.want)
			}
			if name != "gone" && !bytes.Equal(l.read(), before[l.config.Path]) {
				t.Error("a log that is behind was written to")
			}
		})
	}
}

// TestWitnessAway: an unreachable witness keeps only a log from opening that
// requires it; and when it is there again and knows another log, this one ends.
func TestWitnessAway(t *testing.T) {
	l, w := witnessed(t, true)
	w.Away(true)
	if err := l.reopen(w, true); err == nil || !strings.Contains(err.Error(), "is required") {
		t.Errorf("opened: %v", err)
	}
	w.Away(false)
	if err := l.reopen(w, true); err != nil {
		t.Fatal(err)
	}
	l.close()
	old := l.saved()
	if err := l.reopen(w, true); err != nil {
		t.Fatal(err)
	}
	l.certificate("01")
	l.close()

	l.restore(old)
	w.Away(true)
	if err := l.reopen(w, false); err != nil {
		t.Fatal(err)
	}
	l.certificate("02")
	w.Away(false)
	if err := l.checkpoint(); err == nil {
		t.Error("the witness signed for another log")
	}
	if _, err := l.Append(&auditlog.Entry{Kind: auditlog.Test}, true); err == nil || !strings.Contains(err.Error(), "not the one that was witnessed") {
		t.Errorf("appended: %v", err)
	}
	if !strings.Contains(l.said.String(), "ALARM") {
		t.Error("no alarm")
	}
}

func TestWitnessesThatAreNone(t *testing.T) {
	good := witness.Start(t)
	for name, c := range map[string]struct{ url, key, want string }{
		"no URL":           {"", good.Key, "url"},
		"http elsewhere":   {"http://192.0.2.1/", good.Key, "must be https"},
		"no key":           {good.URL, "", "NAME+HASH+KEY"},
		"a log's key":      {good.URL, "hsmd.log/3b6a27bcceb6a42d+80884fbf+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop", "type 4"},
		"another's hash":   {good.URL, strings.Replace(good.Key, "witness.test/1", "witness.test/2", 1), "hash is not"},
		"a key in the URL": {"https://user:secret@witness.example", good.Key, "url"},
	} {
		if _, err := auditlog.NewWitness("w", c.url, c.key, false); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// TestWitnessWithAnotherKey: what the witness's key has not signed is no
// cosignature.
func TestWitnessWithAnotherKey(t *testing.T) {
	l, w := witnessed(t, true)
	made, err := auditlog.NewWitness("elsewhere", w.URL, "witness.test/1+72845cfd+BAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH", true)
	if err != nil {
		t.Fatal(err)
	}
	l.config.Witnesses = []*auditlog.Witness{made}
	if _, err := auditlog.Open(l.config); err == nil || !strings.Contains(err.Error(), "is required") {
		t.Errorf("opened: %v", err)
	}
}
