package auditlog

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// space is room on the disk that belongs to the log already: octets that are
// allocated behind the end of the file and not yet part of it (fallocate(2) with
// FALLOC_FL_KEEP_SIZE). Whoever else fills the disk, they stay. Ordinary lines
// leave the last of them alone, so that there is always room for the vital ones.
type space struct {
	file      *os.File
	reserve   int64
	allocated int64 // end of what is ours
	unable    bool  // the file system keeps no space
}

// chunk is how much is allocated beyond the reserve at a time.
const chunk = 8 << 20

// room says whether n octets may be written at end.
func (s *space) room(end, n int64, vital bool) error {
	if s.unable || end+n+s.reserve <= s.allocated {
		return nil
	}
	s.allocate(end, n+s.reserve+chunk)
	if end+n+s.reserve > s.allocated {
		s.allocate(end, n+s.reserve)
	}
	// A vital line that finds nothing kept back takes what the disk still has.
	if s.unable || vital || end+n+s.reserve <= s.allocated {
		return nil
	}
	return ErrFull
}

func (s *space) allocate(end, n int64) {
	err := unix.Fallocate(int(s.file.Fd()), unix.FALLOC_FL_KEEP_SIZE, end, n)
	for errors.Is(err, unix.EINTR) {
		err = unix.Fallocate(int(s.file.Fd()), unix.FALLOC_FL_KEEP_SIZE, end, n)
	}
	switch {
	case err == nil:
		s.allocated = end + n
	case errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS):
		s.unable = true
	}
}

// lost says that what was allocated behind end has been given back.
func (s *space) lost(end int64) {
	s.allocated = end
	_ = s.room(end, 0, true) // what can be had again
}

// rootCause is the system's error.
func rootCause(err error) syscall.Errno {
	errno, _ := errors.AsType[syscall.Errno](err)
	return errno
}
