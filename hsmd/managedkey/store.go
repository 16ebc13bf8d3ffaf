package managedkey

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/hsmpki/hsmpki/wire"
)

// Files of the state directory.
const (
	lockFile   = "lock"      // held with flock(2) while a hsmd runs
	formatFile = "format"    // "hsmd state 1"
	keyFile    = "state-key" // where the configuration names no state_key
	keysFile   = "keys"      // encrypted contents
	newSuffix  = ".new"      // a file that is being written
)

// Config is what a Store is made of.
type Config struct {
	// Dir is the state directory; it is made with mode 0700.
	Dir string
	// Key is the secret that encrypts the state, at least 16 octets. Empty:
	// one is made in Dir, with a warning.
	Key string
	Log *slog.Logger
}

// Store is the state directory of the one hsmd that has it open. Each change is
// on disk before it is seen: the file is written beside the old one, synced,
// renamed over it, and the directory synced. A crash at any point leaves the
// old contents or the new.
type Store struct {
	dir    string
	sealer *sealer
	lock   *os.File

	mu  sync.Mutex
	now contents
}

// ErrInUse says that another hsmd has the state directory open.
var ErrInUse = errors.New("another hsmd uses this state_dir")

// Open opens a state directory, or makes it. It changes nothing in a directory
// whose state it cannot read: one of a newer format, one written with another
// key, a damaged one.
func Open(c Config) (*Store, error) {
	s, err := open(c)
	if err != nil {
		return nil, fmt.Errorf("state_dir %s: %w", c.Dir, err)
	}
	return s, nil
}

func open(c Config) (_ *Store, err error) {
	if err := makeDir(c.Dir, c.Log); err != nil {
		return nil, err
	}
	lock, err := lockDir(c.Dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			lock.Close()
		}
	}()
	s := &Store{dir: c.Dir, lock: lock}
	sealed, err := os.ReadFile(filepath.Join(c.Dir, keysFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	stored := err == nil
	if err := checkFormat(c.Dir, stored); err != nil {
		return nil, err
	}
	secret := c.Key
	if secret == "" {
		if secret, err = defaultKey(c.Dir, stored, c.Log); err != nil {
			return nil, err
		}
	}
	if s.sealer, err = newSealer(secret); err != nil {
		return nil, err
	}
	if !stored {
		// Both files at once: from here on another state_key is noticed.
		if err := writeFormat(c.Dir); err != nil {
			return nil, err
		}
		return s, s.save(contents{})
	}
	if s.now, err = s.sealer.open(sealed); err != nil {
		return nil, err
	}
	// What a crash left half-written is of no use to anybody.
	if err := os.Remove(filepath.Join(c.Dir, keysFile+newSuffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return s, nil
}

// Close lets another hsmd open the directory.
func (s *Store) Close() error { return s.lock.Close() }

// Records gives the stored definitions, in order of name.
func (s *Store) Records() []Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.now.records)
}

// Put stores a definition in place of any other of its name. It is durable on
// return.
func (s *Store) Put(r Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.save(contents{records: sorted(append(without(s.now.records, r.Definition.Name), r)), refusals: s.now.refusals})
}

// Delete drops a definition. It is durable on return.
func (s *Store) Delete(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.save(contents{records: without(s.now.records, name), refusals: s.now.refusals})
}

// Refusals gives the PINs that tokens of a library have refused.
func (s *Store) Refusals(libraryPath string) []wire.Refusal {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.now.refusals[libraryPath])
}

// maxRefusals bounds what is remembered of a library. Refusals of a PIN from
// the configuration come once for each PIN, and those of PINs given over the
// wire at two a day for each token, so that this is years.
const maxRefusals = 1000

// AddRefusals remembers PINs that were refused. A PIN refused again moves to
// the end; the oldest are forgotten beyond 1000 for each library. Durable on
// return, and without a write where nothing is new.
func (s *Store) AddRefusals(libraryPath string, refusals []wire.Refusal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := slices.Clone(s.now.refusals[libraryPath])
	changed := false
	for _, r := range refusals {
		at := slices.IndexFunc(list, func(old wire.Refusal) bool { return string(old.MAC) == string(r.MAC) })
		if at >= 0 && list[at].At >= r.At {
			continue
		}
		if at >= 0 {
			list = slices.Delete(list, at, at+1)
		}
		list = append(list, r)
		changed = true
	}
	if !changed {
		return nil
	}
	all := maps.Clone(s.now.refusals)
	if all == nil {
		all = map[string][]wire.Refusal{}
	}
	all[libraryPath] = list[max(0, len(list)-maxRefusals):]
	return s.save(contents{records: s.now.records, refusals: all})
}

// RefusalKey is the HMAC key under which refused PINs of a library are
// remembered. It is derived from the state key, so that the MACs are of no use
// to whoever has only the file.
func (s *Store) RefusalKey(libraryPath string) []byte {
	return s.sealer.derive("hsmd refused PINs 1 " + libraryPath)
}

// save writes the whole file, and takes its contents over once they are
// durable.
func (s *Store) save(next contents) error {
	plain, err := next.encode()
	if err != nil {
		return err
	}
	if err := replaceFile(s.dir, keysFile, s.sealer.seal(plain)); err != nil {
		return fmt.Errorf("writing hsmd's state: %w", err)
	}
	s.now = next
	return nil
}

func without(records []Record, name string) []Record {
	return slices.DeleteFunc(slices.Clone(records), func(r Record) bool { return r.Definition.Name == name })
}

func sorted(records []Record) []Record {
	slices.SortFunc(records, func(a, b Record) int { return strings.Compare(a.Definition.Name, b.Definition.Name) })
	return records
}
