package secret

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2"
)

// LookIn looks into all files below dir, but for those that except names, which
// have secrets by their purpose.
func LookIn(t testing.TB, dir string, except func(path string) bool) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // removed under our feet
			return nil
		case err != nil:
			return err
		case !d.Type().IsRegular() || except(path):
			return nil
		}
		content, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		Look(t, path, content)
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// LookInStores looks at what Pebble keeps below dir as it was written: its files
// may be compressed. No process may have it open.
func LookInStores(t testing.TB, dir string) {
	t.Helper()
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && d.Name() == "LOCK" {
			lookInStore(t, filepath.Dir(path))
		}
		return nil // what cannot be read, LookIn has said
	})
}

// lookInStore looks at each record of a Pebble store. One that cannot be opened,
// which tests have, too, was looked at as files.
func lookInStore(t testing.TB, dir string) {
	t.Helper()
	db, err := open(dir)
	if err != nil {
		t.Logf("%s is not looked into record by record: %v", dir, err)
		return
	}
	defer db.Close()
	records, err := db.NewIter(nil)
	if err != nil {
		t.Error(err)
		return
	}
	defer records.Close()
	var record []byte
	for ok := records.First(); ok; ok = records.Next() {
		value, err := records.ValueAndErr()
		if err != nil {
			t.Error(err)
			return
		}
		record = append(append(record[:0], records.Key()...), value...)
		Look(t, fmt.Sprintf("the record %.40q in %s", records.Key(), dir), record)
	}
}

// open opens a store for reading. Pebble panics where files are not as it left
// them.
func open(dir string) (db *pebble.DB, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	return pebble.Open(dir, &pebble.Options{ReadOnly: true, Logger: silent{}})
}

// silent is a log for a store that is only looked at.
type silent struct{}

func (silent) Infof(string, ...any)           {}
func (silent) Errorf(string, ...any)          {}
func (silent) Fatalf(format string, a ...any) { panic(fmt.Sprintf(format, a...)) }
