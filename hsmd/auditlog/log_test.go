package auditlog_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/hsmd/auditlog"
)

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// trail is a log in a folder of its own.
type trail struct {
	*auditlog.Log
	t      *testing.T
	config auditlog.Config
	said   bytes.Buffer
}

func start(t *testing.T, edit ...func(*auditlog.Config)) *trail {
	t.Helper()
	dir := t.TempDir()
	l := &trail{t: t}
	l.config = auditlog.Config{Path: filepath.Join(dir, "log", "audit.log"), Checkpoints: filepath.Join(dir, "checkpoint"), Seed: make([]byte, 32),
		Version: "test", Log: slog.New(slog.NewTextHandler(&l.said, nil)), Now: func() time.Time { return now }, Reserve: 1 << 20}
	for _, e := range edit {
		e(&l.config)
	}
	l.open()
	t.Cleanup(func() { l.Close() })
	return l
}

func (l *trail) open() {
	l.t.Helper()
	opened, err := auditlog.Open(l.config)
	if err != nil {
		l.t.Fatal(err)
	}
	l.Log = opened
}

func (l *trail) close() {
	l.t.Helper()
	if err := l.Close(); err != nil {
		l.t.Fatal(err)
	}
}

// certificate appends the two lines of a certificate.
func (l *trail) certificate(serial string) {
	l.t.Helper()
	tbs := []byte("to be signed " + serial)
	p, err := l.Append(&auditlog.Entry{Kind: auditlog.Certificate, Serial: serial, TBS: tbs, SHA256: sha256.Sum256(tbs)}, false)
	if err == nil {
		err = p.Wait(context.Background())
	}
	if err == nil {
		err = l.Outcome(p, &auditlog.Entry{Kind: auditlog.Signed, Signature: []byte("signature")})
	}
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *trail) verify() *auditlog.Report {
	l.t.Helper()
	r, err := auditlog.Verify(l.config.Path, l.config.Checkpoints, "")
	if err != nil {
		l.t.Fatal(err)
	}
	return r
}

func (l *trail) read() []byte {
	l.t.Helper()
	text, err := os.ReadFile(l.config.Path)
	if err != nil {
		l.t.Fatal(err)
	}
	return text
}

func (l *trail) write(text []byte) {
	l.t.Helper()
	if err := os.WriteFile(l.config.Path, text, 0o600); err != nil {
		l.t.Fatal(err)
	}
}

func TestLogIsWhole(t *testing.T) {
	l := start(t)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 50 {
				l.certificate(fmt.Sprintf("%02x:%02x", i, j))
			}
		})
	}
	for range 10 {
		l.verify() // while it is written
	}
	all.Wait()
	l.close()
	r := l.verify()
	if r.Next != 801 || r.Kinds[auditlog.Certificate] != 400 || r.Kinds[auditlog.Signed] != 400 || len(r.Open) != 0 || r.Checkpoint != 801 {
		t.Errorf("%+v", r)
	}
	l.open()
	l.close()
	if r := l.verify(); r.Next != 802 || r.Kinds[auditlog.Start] != 2 {
		t.Errorf("%+v", r)
	}
	info, err := os.Stat(l.config.Path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

// TestFormat: others read these lines, so that a change to them is one that is
// meant.
func TestFormat(t *testing.T) {
	l := start(t)
	tbs := []byte("to be signed")
	day := now.AddDate(0, 0, 1)
	p, err := l.Append(&auditlog.Entry{Kind: auditlog.Certificate, Key: "root", SPKI: auditlog.Hash{1}, Scheme: "ecdsa_secp256r1_sha256", Serial: "01:ab",
		Issuer: "CN=A", Subject: `CN="<B>`, Names: []string{"dns:b.example"}, CA: true, NotBefore: now, NotAfter: day, Size: int64(len(tbs)), SHA256: sha256.Sum256(tbs), TBS: tbs,
		Peer: &auditlog.Peer{UID: 0, GID: 1, PID: 2, Client: []string{"pkid"}}, Context: "pki/ 7"}, false)
	if err == nil {
		err = p.Wait(t.Context())
	}
	if err == nil {
		err = l.Outcome(p, &auditlog.Entry{Kind: auditlog.Signed, Signature: []byte{1, 2, 3}})
	}
	if err != nil {
		t.Fatal(err)
	}
	l.Refuse(auditlog.Entry{Key: "root", Peer: &auditlog.Peer{UID: 5}, Reason: "no"}, "denied")
	l.Refuse(auditlog.Entry{Key: "root", Peer: &auditlog.Peer{UID: 5}, Reason: "never"}, "denied")
	l.close()
	golden, err := os.ReadFile("testdata/format.log")
	if err != nil {
		t.Fatal(err)
	}
	if got := l.read(); !bytes.Equal(got, golden) {
		t.Errorf("got\n%s\nwant\n%s", got, golden)
	}
}

func TestRead(t *testing.T) {
	l := start(t, func(c *auditlog.Config) { c.SegmentSize = 4 << 10 })
	for i := range 100 {
		l.certificate(fmt.Sprintf("%02x", i))
	}
	if r := l.verify(); r.Segments < 4 {
		t.Fatalf("%+v", r)
	}
	size := l.Size()
	for _, from := range []uint64{0, 1, 37, 101, size - 1, size, size + 7} {
		next := from
		for line, err := range l.Read(from) {
			if err != nil {
				t.Fatal(err)
			}
			if line.Seq != next {
				t.Fatalf("from %d: line %d, want %d", from, line.Seq, next)
			}
			if line.Kind == auditlog.Signed && *line.Of >= line.Seq {
				t.Errorf("line %d is of %d", line.Seq, *line.Of)
			}
			next++
		}
		if next < max(from, size) { // an outcome may have followed meanwhile
			t.Errorf("from %d: ended before %d, size %d", from, next, size)
		}
	}
	// In pages, which end before the line that the next begins with.
	next := uint64(0)
	for next < size {
		pages := 0
		for line, err := range l.Read(next) {
			if err != nil {
				t.Fatal(err)
			}
			if line.Seq != next {
				t.Fatalf("line %d, want %d", line.Seq, next)
			}
			if pages == 7 {
				break
			}
			pages, next = pages+1, next+1
		}
	}
}

func TestTornEndIsCutOff(t *testing.T) {
	for name, tear := range map[string]func([]byte) []byte{
		"mid-line":       func(b []byte) []byte { return b[:len(b)-7] },
		"one octet":      func(b []byte) []byte { return append(b, '{') },
		"never written":  func(b []byte) []byte { return append(b, make([]byte, 5000)...) },
		"hole, then end": func(b []byte) []byte { return append(append(b, make([]byte, 100)...), "\"}\n"...) },
		"hole in a line": func(b []byte) []byte {
			return append(append(append(b, `{"seq":`...), make([]byte, 100)...), "\"}\nanother}\n"...)
		},
		"newline alone is there": func(b []byte) []byte { return append(append(b, make([]byte, 100)...), '\n') },
	} {
		t.Run(name, func(t *testing.T) {
			l := start(t)
			l.certificate("01")
			l.close()
			if err := os.Remove(l.config.Checkpoints); err != nil {
				t.Fatal(err)
			}
			l.write(tear(l.read()))
			l.open()
			l.certificate("02")
			l.close()
			if r := l.verify(); r.Kinds[auditlog.Start] != 2 || r.Kinds[auditlog.Certificate] != 2 {
				t.Errorf("%+v", r)
			}
			if !strings.Contains(l.said.String(), "was torn by a crash") || !strings.Contains(string(l.read()), `"cut":`) {
				t.Errorf("nothing says what was cut off: %s\n%s", l.said.String(), l.read())
			}
		})
	}
}

func lines(text []byte) [][]byte {
	all := bytes.SplitAfter(text, []byte{'\n'})
	return all[:len(all)-1]
}

func join(all ...[]byte) []byte { return slices.Concat(all...) }

// TestEveryOctet: whichever octet of a log is another, it is found.
func TestEveryOctet(t *testing.T) {
	l := start(t)
	l.certificate("01")
	l.certificate("02")
	l.close()
	good := l.read()
	for i := range good {
		text := slices.Clone(good)
		text[i] ^= 1
		l.write(text)
		if _, err := auditlog.Verify(l.config.Path, l.config.Checkpoints, ""); err == nil {
			t.Errorf("octet %d is not missed", i)
		}
	}
}

// TestEdits: every kind of edit is found, by verify and by the next start.
func TestEdits(t *testing.T) {
	l := start(t)
	for i := range 20 {
		l.certificate(fmt.Sprintf("%02x", i))
	}
	l.close()
	other := start(t)
	for i := range 20 {
		other.certificate(fmt.Sprintf("f%x", i%16))
	}
	other.close()
	good, foreign := lines(l.read()), lines(other.read())
	flip := func(line []byte, at int) []byte {
		line = slices.Clone(line)
		line[at] ^= 1
		return line
	}
	with := func(at int, line []byte) []byte {
		all := slices.Clone(good)
		all[at] = line
		return join(all...)
	}
	edits := map[string]struct {
		text []byte
		want string
	}{
		"a digit of a serial":      {with(7, bytes.Replace(good[7], []byte(`"serial":"03"`), []byte(`"serial":"33"`), 1)), "does not go on from line 7"},
		"a field put in":           {with(7, bytes.Replace(good[7], []byte("}\n"), []byte(`,"ca":true}`+"\n"), 1)), "does not go on from line 7"},
		"a line removed":           {join(slices.Concat(good[:9], good[10:])...), "lines were removed"},
		"the first line removed":   {join(good[1:]...), "line 0 was expected"},
		"two lines swapped":        {join(slices.Concat(good[:9], [][]byte{good[10], good[9]}, good[11:])...), "line 9 was expected"},
		"a line twice":             {join(slices.Concat(good[:9], good[8:])...), "line 9 was expected"},
		"two logs spliced":         {join(slices.Concat(good[:9], foreign[9:])...), "does not go on from line 8"},
		"another log altogether":   {join(foreign...), "checkpoint"},
		"cut at a line":            {join(good[:20]...), "its end was removed"},
		"cut to nothing":           {nil, "its end was removed"},
		"cut in the middle":        {join(good...)[:2000], "its end was removed"},
		"a number written twice":   {with(7, bytes.Replace(good[7], []byte(`{"seq":7,`), []byte(`{"seq":7, `), 1)), "line 7 was changed"},
		"text behind it":           {append(join(good...), "hello\n"...), "is no line of the log"},
		"the last line changed":    {with(40, flip(good[40], len(good[40])-20)), "not the"},
		"a line that is not JSON":  {with(7, []byte("nonsense\n")), "line 7 was changed"},
		"empty line in the middle": {join(slices.Concat(good[:9], [][]byte{[]byte("\n")}, good[9:])...), "line 9 was changed"},
	}
	for i := range good {
		for _, at := range []int{0, 9, len(good[i]) / 2, len(good[i]) - 2} {
			edits[fmt.Sprintf("octet %d of line %d", at, i)] = struct {
				text []byte
				want string
			}{with(i, flip(good[i], at)), ""}
		}
	}
	for name, c := range edits {
		t.Run(name, func(t *testing.T) {
			l.write(c.text)
			_, err := auditlog.Verify(l.config.Path, l.config.Checkpoints, "")
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("verify: %v, want %q", err, c.want)
			}
			if opened, err := auditlog.Open(l.config); err == nil {
				opened.Close()
				t.Error("it was opened")
			}
			if !bytes.Equal(l.read(), c.text) {
				t.Error("a damaged log was written to")
			}
		})
	}
}
