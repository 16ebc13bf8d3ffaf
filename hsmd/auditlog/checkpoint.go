package auditlog

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// checkpointAfter is how often what was written is signed for.
const checkpointAfter = time.Minute

// signer is the log's own key. It signs that the log had so many lines, and which
// (c2sp.org/tlog-checkpoint). The log's name, its origin, follows from the key, so
// that no two logs have one.
type signer struct {
	private  ed25519.PrivateKey
	verifier note.Verifier
	text     string // the verifier, for others
}

func newSigner(seed []byte) (*signer, error) {
	if len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("the key of the log of signatures has %d octets, not %d", len(seed), ed25519.SeedSize)
	}
	private := ed25519.NewKeyFromSeed(seed)
	public := private.Public().(ed25519.PublicKey)
	text, err := note.NewEd25519VerifierKey("hsmd.log/"+hex.EncodeToString(public[:8]), public)
	if err != nil {
		return nil, err
	}
	verifier, err := note.NewVerifier(text)
	if err != nil {
		return nil, err
	}
	return &signer{private, verifier, text}, nil
}

// Name and the others are what [note.Sign] asks for.
func (s *signer) Name() string                     { return s.verifier.Name() }
func (s *signer) KeyHash() uint32                  { return s.verifier.KeyHash() }
func (s *signer) Sign(text []byte) ([]byte, error) { return ed25519.Sign(s.private, text), nil }

// checkpoint is a signed statement of how long the log was, and its tree's root.
type checkpoint struct {
	size uint64
	root tlog.Hash
	text []byte // the whole note
	note *note.Note
}

// sign makes a checkpoint.
func (s *signer) sign(size uint64, root tlog.Hash) (*checkpoint, error) {
	text, err := note.Sign(&note.Note{Text: fmt.Sprintf("%s\n%d\n%s\n", s.Name(), size, root)}, s)
	if err != nil {
		return nil, err
	}
	return &checkpoint{size: size, root: root, text: text}, nil
}

// openCheckpoint reads a checkpoint and checks its signature.
func openCheckpoint(text []byte, by note.Verifier) (*checkpoint, error) {
	n, err := note.Open(text, note.VerifierList(by))
	if err != nil {
		return nil, err
	}
	c := &checkpoint{text: text, note: n}
	lines := strings.SplitN(n.Text, "\n", 4)
	if len(lines) != 4 || lines[0] != by.Name() || lines[3] != "" {
		return nil, errors.New("is no checkpoint of this log")
	}
	if _, err := fmt.Sscanf(lines[1], "%d", &c.size); err != nil || fmt.Sprint(c.size) != lines[1] {
		return nil, errors.New("has no size")
	}
	c.root, err = tlog.ParseHash(lines[2])
	return c, err
}

// checkpoints signs for what the log has become.
type checkpoints struct {
	signer  *signer
	signing sync.Mutex
	last    *checkpoint // guarded by signing

	stop context.CancelFunc
	done chan struct{}
}

// Verifier is the log's name and public key, as a note's verifier.
func (l *Log) Verifier() string { return l.signer.text }

// Checkpoint signs for what is durable, where there is something new, has the
// witnesses sign too, and keeps the statement. A later start wants the log to go on
// from it. A witness that does not answer is asked again with the next; one that
// has seen another log ends this one.
func (l *Log) Checkpoint(ctx context.Context) error {
	l.signing.Lock()
	defer l.signing.Unlock()
	l.mu.Lock()
	head := tree{size: l.durable, edge: l.edge}
	l.mu.Unlock()
	if l.last != nil && l.last.size == head.size && !l.unwitnessed() {
		return nil
	}
	next, err := l.signer.sign(head.size, head.root())
	if err != nil {
		return err
	}
	lines, err := l.ask(ctx, next)
	if err != nil {
		l.fail(err)
		return err
	}
	if err := replaceFile(l.Config.Checkpoints, append(next.text, lines...)); err != nil {
		return fmt.Errorf("keeping a checkpoint of the log of signatures: %w", err)
	}
	l.last = next
	return nil
}

// unwitnessed reports whether a witness has not signed for what is durable.
func (l *Log) unwitnessed() bool {
	return slices.ContainsFunc(l.Witnesses, func(w *Witness) bool { return !w.signed })
}

// ask has the witnesses sign a checkpoint, and gives the lines of those that did.
// An error is that of one that has seen another log.
func (l *Log) ask(ctx context.Context, c *checkpoint) (lines []byte, err error) {
	for _, w := range l.Witnesses {
		line, err := w.cosign(ctx, c, hashReader{l.w.tree})
		if errors.Is(err, errFork) {
			return nil, err
		}
		if err != nil && !w.missed {
			l.Log.Warn("a witness does not sign for the log of signatures; it is asked again", "witness", w.name, "lines", c.size, "error", err)
		} else if err == nil && w.missed {
			l.Log.Info("a witness signs for the log of signatures again", "witness", w.name, "lines", c.size)
		}
		l.mu.Lock()
		w.signed, w.missed = err == nil, err != nil
		l.mu.Unlock()
		lines = append(lines, line...)
	}
	return lines, nil
}

// witnessed asks the witnesses at the start whether this is the log that they
// know. Those that are required have to answer.
func (l *Log) witnessed() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*witnessTime)
	defer cancel()
	if err := l.Checkpoint(ctx); errors.Is(err, errFork) {
		return err
	} else if err != nil {
		l.Log.Warn("the log of signatures has no new checkpoint", "error", err)
	}
	for _, w := range l.Witnesses {
		if !w.signed && w.required {
			return fmt.Errorf("witness %s is required, and does not sign", w.name)
		}
	}
	return nil
}

// keepCheckpoints signs now and then, until the log is closed.
func (l *Log) keepCheckpoints(ctx context.Context) {
	defer close(l.checkpoints.done)
	tick := time.NewTicker(checkpointAfter)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if err := l.Checkpoint(ctx); err != nil && ctx.Err() == nil {
			l.Log.Warn("the log of signatures has no new checkpoint", "error", err)
		}
	}
}

// continues wants the log to go on from the last checkpoint.
func (l *Log) continues() error {
	text, err := os.ReadFile(l.Config.Checkpoints)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	c, err := openCheckpoint(text, l.signer.verifier)
	if err != nil {
		return fmt.Errorf("its checkpoint %s: %w", l.Config.Checkpoints, err)
	}
	if err := l.extends(c); err != nil {
		return err
	}
	l.last = c
	return nil
}

// extends wants the log to have what a checkpoint states.
func (l *Log) extends(c *checkpoint) error {
	if c.size > l.w.next {
		return behind(l.w.next, c.size)
	}
	root, err := tlog.TreeHash(int64(c.size), hashReader{l.w.tree})
	if err != nil {
		return err
	}
	if root != c.root {
		return fmt.Errorf("it is not the log of which a checkpoint of %d lines was signed: one of them was changed", c.size)
	}
	return nil
}

func behind(has, signed uint64) error {
	return fmt.Errorf("it has %d lines, and a checkpoint of %d was signed: its end was removed, or an old copy put in its place", has, signed)
}

// replaceFile writes a file so that a crash leaves the old one or the new one.
func replaceFile(path string, data []byte) error {
	f, err := os.OpenFile(path+nextSuffix, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(path+nextSuffix, path)
	}
	if err != nil {
		os.Remove(path + nextSuffix)
		return err
	}
	return syncDir(filepath.Dir(path))
}
