package confinement

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// needed is the first version of Landlock's interface that holds what `paths`
// promises: before it (Linux 6.2), any file could be truncated.
const needed = 3

// Versions that brought a right or a scope.
const (
	abiIoctl      = 5
	abiScopes     = 6 // signals, abstract sockets
	abiUnixByPath = 9 // connecting to a socket of the file system
)

const (
	readFile  = unix.LANDLOCK_ACCESS_FS_READ_FILE
	readOnly  = readFile | unix.LANDLOCK_ACCESS_FS_READ_DIR
	execute   = readFile | unix.LANDLOCK_ACCESS_FS_EXECUTE
	writeFile = readFile | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE
	ofFiles   = execute | writeFile | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV | unix.LANDLOCK_ACCESS_FS_RESOLVE_UNIX

	// Nothing is executed from, and no device made in, what may be written.
	notInPaths = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_MAKE_CHAR | unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK
)

// Kernel says why a worker cannot be confined on this kernel, nil if it can.
func Kernel() error {
	switch abi := kernelABI(); {
	case abi == 0:
		return errors.New("this kernel has no Landlock, or it is not enabled")
	case abi < needed:
		return fmt.Errorf("this kernel's Landlock has version %d; %d is needed (Linux 6.2)", abi, needed)
	case auditArch == 0:
		return errors.New("workers cannot be confined on this kind of processor")
	}
	return nil
}

// Missing says what this kernel's Landlock does not keep a confined worker from,
// "" if nothing.
func Missing() string {
	if kernelABI() < abiScopes {
		return "sending signals to processes of its user"
	}
	return ""
}

// kernelABI is 0 where there is no Landlock.
func kernelABI() int {
	version, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0
	}
	return int(version)
}

// system is what the C library and OpenSSL read by themselves: names, time,
// trust. None of it is secret.
var system = []string{
	"/etc/ld.so.cache", "/etc/localtime", "/usr/share/zoneinfo", "/etc/passwd", "/etc/group",
	"/etc/nsswitch.conf", "/etc/host.conf", "/etc/hosts", "/etc/resolv.conf", "/etc/gai.conf", "/etc/services", "/etc/protocols",
	"/etc/ssl/openssl.cnf", "/etc/ssl/certs", "/etc/pki/tls/openssl.cnf", "/etc/pki/tls/certs", "/etc/pki/ca-trust/extracted", "/etc/crypto-policies",
	"/dev/zero", "/dev/random", "/dev/urandom",
}

// restrictFiles has Landlock bound the thread, and tells whether sockets of the
// file system may be left to the rules: because the kernel checks them, or
// because one was named.
func restrictFiles(r Rules, environ []string) (sockets bool, err error) {
	if err := Kernel(); err != nil {
		return false, err
	}
	abi := kernelABI()
	set, err := newRuleset(abi)
	if err != nil {
		return false, err
	}
	defer unix.Close(set.fd)
	if err := set.allowProgram(r.Library, environ); err != nil {
		return false, err
	}
	for _, path := range system {
		if err := set.allow(path, readOnly); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
	}
	if err := set.allow("/dev/null", writeFile); err != nil {
		return false, err
	}
	sockets = abi >= abiUnixByPath
	for _, path := range r.Paths {
		isSocket, err := set.allowPath(path)
		if err != nil {
			return false, fmt.Errorf("paths: %w", err)
		}
		sockets = sockets || isSocket
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(set.fd), 0, 0); errno != 0 {
		return false, fmt.Errorf("landlock_restrict_self: %w", errno)
	}
	return sockets, nil
}

// ruleset is a Landlock ruleset that is being made. What it handles is denied
// but for its rules.
type ruleset struct {
	fd      int
	handled uint64
}

func newRuleset(abi int) (*ruleset, error) {
	// TCP is not handled: the HSM may be on the network.
	attr := unix.LandlockRulesetAttr{Handled_access_fs: unix.LANDLOCK_ACCESS_FS_TRUNCATE<<1 - 1}
	if abi >= abiIoctl {
		attr.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	}
	if abi >= abiScopes {
		attr.Scoped = unix.LANDLOCK_SCOPE_SIGNAL | unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET
	}
	if abi >= abiUnixByPath {
		attr.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_RESOLVE_UNIX
	}
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr), 0)
	if errno != 0 {
		return nil, fmt.Errorf("landlock_create_ruleset: %w", errno)
	}
	return &ruleset{fd: int(fd), handled: attr.Handled_access_fs}, nil
}

// allowProgram lets this program be executed once more and the library be
// loaded: both, what they link, and the C library's folder, from which
// libraries load parts of themselves and of others while they run.
func (s *ruleset) allowProgram(library string, environ []string) error {
	linker, err := ownLinker(environ)
	if err != nil {
		return fmt.Errorf("hsmd's own program: %w", err)
	}
	for _, path := range []string{self, linker.loader} {
		if err := s.allow(path, execute); err != nil {
			return err
		}
	}
	if err := s.allow(filepath.Dir(linker.loader), readOnly); err != nil {
		return err
	}
	for _, path := range linker.linked(self, library) {
		if err := s.allow(path, readFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// allow adds a rule for a file, or a folder and what is below it.
func (s *ruleset) allow(path string, access uint64) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	_, err = s.add(fd, path, access)
	return err
}

// allowPath adds the rule for one of the stanza's paths. Links were followed
// when the configuration was loaded; one that came since is not, as it may be
// the doing of a worker.
func (s *ruleset) allowPath(path string) (isSocket bool, err error) {
	fd, err := openUnlinked(path)
	if errors.Is(err, unix.ELOOP) {
		return false, fmt.Errorf("%s has become a symbolic link", path)
	}
	if err != nil {
		return false, &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	kind, err := s.add(fd, path, s.handled&^notInPaths)
	return kind == unix.S_IFSOCK, err
}

// openUnlinked opens a path, and fails with ELOOP at a symbolic link anywhere in
// it. It goes step by step: openat2, which does that by itself, is taken away
// from services that systemd keeps from making set-user-ID files
// (RestrictSUIDSGID=).
func openUnlinked(path string) (int, error) {
	fd, err := unix.Open("/", unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	for name := range strings.SplitSeq(path, "/") {
		if name == "" {
			continue
		}
		dir := fd
		fd, err = unix.Openat(dir, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		unix.Close(dir)
		if err != nil {
			return -1, err
		}
		var stat unix.Stat_t
		if err = unix.Fstat(fd, &stat); err == nil && stat.Mode&unix.S_IFMT == unix.S_IFLNK {
			err = unix.ELOOP
		}
		if err != nil {
			unix.Close(fd)
			return -1, err
		}
	}
	return fd, nil
}

func (s *ruleset) add(fd int, path string, access uint64) (kind uint32, err error) {
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return 0, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	if kind = stat.Mode & unix.S_IFMT; kind != unix.S_IFDIR {
		access &= ofFiles
	}
	rule := unix.LandlockPathBeneathAttr{Allowed_access: access & s.handled, Parent_fd: int32(fd)}
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(s.fd), unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0)
	if errno != 0 {
		return 0, fmt.Errorf("landlock_add_rule for %s: %w", path, errno)
	}
	return kind, nil
}
