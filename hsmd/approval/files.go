package approval

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// files keeps each request in a file of its own. One is written beside, synced
// and renamed, so that a crash leaves the old or the new one.
type files struct{ dir string }

const suffix = ".json"

func openFiles(dir string) (*files, error) {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return &files{dir}, nil
}

func (f *files) read() (all []*Request, err error) {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		id, is := strings.CutSuffix(e.Name(), suffix)
		if !is {
			// The beginning of one that a crash cut short: nobody was told of it.
			if err := os.Remove(filepath.Join(f.dir, e.Name())); err != nil {
				return nil, err
			}
			continue
		}
		text, err := os.ReadFile(filepath.Join(f.dir, e.Name()))
		if err != nil {
			return nil, err
		}
		r := &Request{}
		if err := json.Unmarshal(text, r); err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Join(f.dir, e.Name()), err)
		}
		if r.ID != id || len(r.SPKI) != 32 || r.id() != id {
			return nil, fmt.Errorf("%s: it is not what its name says", filepath.Join(f.dir, e.Name()))
		}
		all = append(all, r)
	}
	return all, nil
}

func (f *files) write(r *Request) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	name := f.name(r.ID)
	beside := name + ".new"
	if err := writeSynced(beside, text); err != nil {
		return err
	}
	if err := os.Rename(beside, name); err != nil {
		return err
	}
	return f.sync()
}

func (f *files) remove(id string) error {
	if err := os.Remove(f.name(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil // one that comes back after a crash has ended all the same
}

// name is a request's file. An id is hexadecimal, given here.
func (f *files) name(id string) string {
	if _, err := hex.DecodeString(id); err != nil {
		panic("approval: not an id: " + id)
	}
	return filepath.Join(f.dir, id+suffix)
}

func (f *files) sync() error {
	d, err := os.Open(f.dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func writeSynced(path string, text []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}
