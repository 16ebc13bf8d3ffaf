package managedkey

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// format is the number that this program writes and the highest that it reads.
const format = 1

// makeDir makes the state directory with mode 0700. One that others can look
// into is closed to them.
func makeDir(dir string, log *slog.Logger) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o077 == 0 {
		return nil
	}
	log.Warn("state_dir was open to others, and is closed to them now", "state_dir", dir, "mode", info.Mode().Perm().String())
	return os.Chmod(dir, 0o700)
}

// lockDir takes the lock that a running hsmd holds. The kernel drops it with
// the process.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, ErrInUse
		}
		return nil, err
	}
	return f, nil
}

func writeFormat(dir string) error {
	return replaceFile(dir, formatFile, fmt.Appendf(nil, "hsmd state %d\n", format))
}

// checkFormat reads the format number, which may be missing only where nothing
// is stored yet.
func checkFormat(dir string, stored bool) error {
	text, err := os.ReadFile(filepath.Join(dir, formatFile))
	if errors.Is(err, fs.ErrNotExist) {
		if stored {
			return fmt.Errorf("has a file %s but none named %s", keysFile, formatFile)
		}
		return nil
	}
	if err != nil {
		return err
	}
	var found int
	if _, err := fmt.Sscanf(string(text), "hsmd state %d\n", &found); err != nil || found < 1 {
		return fmt.Errorf("its file %s is not hsmd's", formatFile)
	}
	if found > format {
		return fmt.Errorf("was written by a newer hsmd: its format is %d, this hsmd reads up to %d", found, format)
	}
	return nil
}

// defaultKey reads the key beside the state, and makes it where there is
// neither.
func defaultKey(dir string, stored bool, log *slog.Logger) (string, error) {
	path := filepath.Join(dir, keyFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if stored {
			return "", fmt.Errorf("holds keys, but state_key is not set and there is no %s; with another key they could not be read", path)
		}
		text = hex.AppendEncode(nil, randomOctets(32))
		err = replaceFile(dir, keyFile, append(text, '\n'))
	}
	if err != nil {
		return "", err
	}
	log.Warn("state_key is not set: the key lies beside what it encrypts, and guards copies of a file, not of the folder", "file", path)
	return strings.TrimSuffix(string(text), "\n"), nil
}

func randomOctets(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return b
}

// replaceFile writes a file so that a crash leaves the old one or the new one,
// whole: write beside it, sync, rename, sync the directory. Without the last
// step the rename itself could be lost.
func replaceFile(dir, name string, data []byte) error {
	beside := filepath.Join(dir, name+newSuffix)
	f, err := os.OpenFile(beside, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(beside, filepath.Join(dir, name))
	}
	if err != nil {
		os.Remove(beside)
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
