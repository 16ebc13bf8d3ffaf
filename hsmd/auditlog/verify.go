package auditlog

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Report is what a verification found.
type Report struct {
	Segments    int
	First, Next uint64 // lines [First, Next)
	Kinds       map[Kind]int
	Begin, End  time.Time
	Open        []uint64 // lines without an outcome, where the log does not go on from there
	Torn        bool     // the last line is being written, or was torn by a crash
	Root        tlog.Hash
	Verifier    string   // the log's key, as its last start names it
	Checkpoint  uint64   // lines that the checkpoint covers; 0: there is none
	Cosigned    []string // the witnesses, by name, who signed the checkpoint too
}

// Verify reads a whole log, which may be written meanwhile, and wants each line to
// go on from the one before, what lines say to agree with itself, and the log's
// own tree and checkpoint to agree with the lines. trust is the log's key, as a
// note's verifier; "": the one that the log itself names, which whoever has
// written a whole new log can name too. checkpoints is the file of the last
// checkpoint, "": none is looked at; witnesses are those who may have signed it.
func Verify(path, checkpoints, trust string, witnesses ...*Witness) (*Report, error) {
	all, err := openSegments(path)
	if err != nil {
		return nil, err
	}
	defer closeSegments(all)
	if first := all[0].first; first > 0 {
		return nil, fmt.Errorf("the log begins at line %d: the segments before it were removed", first)
	}
	// Read before the lines are: a live log has by then all that it covers.
	signed, err := readCheckpoint(checkpoints)
	if err != nil {
		return nil, err
	}
	v := verifier{r: Report{Kinds: map[Kind]int{}}, waits: map[uint64]bool{}, at: sizeOf(signed)}
	for i, s := range all {
		v.r.Segments++
		if v.sealed {
			v.sealed = false
		} else if i > 0 {
			return nil, fmt.Errorf("%s does not end with a seal", filepath.Base(all[i-1].path))
		}
		err := v.chain.follow(s.file, v.line)
		if errors.Is(err, errTorn) && i == len(all)-1 && !s.segment.sealed {
			v.r.Torn, err = true, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Base(s.path), err)
		}
		if s.segment.sealed && v.chain.next != s.last+1 {
			return nil, fmt.Errorf("%s ends with line %d, and its name says %d", filepath.Base(s.path), v.chain.next-1, s.last)
		}
	}
	v.r.Next, v.r.Root = v.chain.next, v.tree.root()
	v.r.Open = slices.Sorted(maps.Keys(v.waits))
	if err := v.checkpoint(signed, trust); err != nil {
		return nil, err
	}
	for _, w := range witnesses {
		if _, err := note.Open(signed, note.VerifierList(w.verifier)); err == nil {
			v.r.Cosigned = append(v.r.Cosigned, w.name)
		}
	}
	return &v.r, nil
}

// verifier is one verification under way.
type verifier struct {
	r      Report
	chain  chain
	tree   tree // its file is nil: only the edge is used
	sealed bool
	waits  map[uint64]bool

	at     uint64 // size of the checkpoint
	rootAt tlog.Hash
}

func (v *verifier) line(raw []byte, _ int64) error {
	l, err := decode(raw)
	if err != nil {
		return fmt.Errorf("line %d was changed: %w", v.chain.next, err)
	}
	if v.sealed {
		return fmt.Errorf("line %d follows a seal, in the same segment", l.Seq)
	}
	if err := v.says(l); err != nil {
		return fmt.Errorf("line %d: %w", l.Seq, err)
	}
	v.r.Kinds[l.Kind]++
	if v.r.Begin.IsZero() {
		v.r.Begin = l.Time
	}
	v.r.End = l.Time
	v.tree.push(nil, tlog.RecordHash(raw))
	if v.tree.size == v.at {
		v.rootAt = v.tree.root()
	}
	return nil
}

// says checks a line against itself and the lines before.
func (v *verifier) says(l *Line) error {
	switch l.Kind {
	case Certificate, CRL, OCSP, CSR, Test:
		if len(l.TBS) > 0 && sha256.Sum256(l.TBS) != l.SHA256 {
			return errors.New("the octets are not those of the hash beside them")
		}
		v.waits[l.Seq] = true
	case Signed, Failed:
		if l.Of == nil || !v.waits[*l.Of] {
			return errors.New("is the outcome of no line before it")
		}
		delete(v.waits, *l.Of)
	case Start:
		if l.Verifier != "" {
			v.r.Verifier = l.Verifier
		}
	case Seal:
		v.sealed = true
	}
	return nil
}

func readCheckpoint(path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return text, err
}

// sizeOf is how many lines a checkpoint is of, by what it says itself.
func sizeOf(signed []byte) (size uint64) {
	_, rest, _ := bytes.Cut(signed, []byte{'\n'})
	_, _ = fmt.Sscanf(string(rest), "%d\n", &size)
	return size
}

// checkpoint wants the log to be the one that was signed for.
func (v *verifier) checkpoint(signed []byte, trust string) error {
	if trust == "" {
		trust = v.r.Verifier
	} else if v.r.Verifier != trust {
		return fmt.Errorf("the log names its key %q, and %q is wanted", v.r.Verifier, trust)
	}
	if signed == nil {
		return nil
	}
	if v.at > v.r.Next {
		return behind(v.r.Next, v.at)
	}
	by, err := note.NewVerifier(trust)
	if err != nil {
		return fmt.Errorf("the log's key %q: %w", trust, err)
	}
	c, err := openCheckpoint(signed, by)
	if err != nil {
		return fmt.Errorf("the checkpoint: %w", err)
	}
	if c.size > 0 && c.root != v.rootAt {
		return fmt.Errorf("the log is not the one of which a checkpoint of %d lines was signed", c.size)
	}
	v.r.Checkpoint = c.size
	return nil
}
