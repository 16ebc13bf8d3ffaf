package auditlog

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// open opens the file to be appended to, or makes it with mode 0600. A link is
// not followed, and what others may read or write is refused: with the names
// of certificates in it the log is nobody else's, and who may write it may
// make it say anything. Its folder has to be there.
func open(path string) (*os.File, error) {
	// Not to wait for the reader of a pipe, which is refused below.
	file, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, fmt.Errorf("the audit log: %w", err)
	}
	if err := prepare(file); err != nil {
		file.Close()
		return nil, fmt.Errorf("the audit log %s: %w", path, err)
	}
	return file, nil
}

func prepare(file *os.File) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	switch mode := info.Mode(); {
	case !mode.IsRegular():
		return fmt.Errorf("it is no regular file (%v)", mode)
	case mode.Perm()&0o027 != 0:
		return fmt.Errorf("it has mode %04o, with which others than its owner may write, or others than its group read it; 0600 is right", mode.Perm())
	}
	if err := endLine(file, info.Size()); err != nil {
		return err
	}
	folder, err := os.Open(filepath.Dir(file.Name()))
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync() // or the name would be lost, with all that is synced
}

// endLine ends a line that a crash left without its end.
func endLine(file *os.File, size int64) error {
	if size == 0 {
		return nil
	}
	var last [1]byte
	if _, err := file.ReadAt(last[:], size-1); err != nil {
		return err
	}
	if last[0] == '\n' {
		return nil
	}
	_, err := file.Write([]byte{'\n'})
	return err
}
