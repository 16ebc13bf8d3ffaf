package test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/hsmpki/hsmpki/test/daemon"
	"github.com/hsmpki/hsmpki/test/hostilemodule"
	"github.com/hsmpki/hsmpki/test/softhsm"
	"github.com/hsmpki/hsmpki/wire"
)

// withoutCall, in the environment, is the number of a system call, without
// which the test program executes its arguments.
const withoutCall = "HSMPKI_WITHOUT_CALL"

// executeWithoutCall has the kernel answer a call with ENOSYS, as one that does
// not know it.
func executeWithoutCall(number string, args []string) error {
	call, err := strconv.ParseUint(number, 10, 32)
	if err != nil {
		return err
	}
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: uint32(call), Jt: 0, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog)), 0, 0); err != nil {
		return err
	}
	return syscall.Exec(args[0], args, os.Environ())
}

// TestKernelHasLandlock says why the tests of this file and of hostile_test.go
// fail where it fails.
func TestKernelHasLandlock(t *testing.T) {
	version, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 || version < 6 {
		t.Errorf("this kernel's Landlock has version %d (%v): the tests of confinement need 6", version, errno)
	}
}

// TestPathsWithoutLandlock: a library with paths is not loaded unconfined where
// the kernel cannot confine it; one without is, and no_new_privs, which hsmd has
// here from the start, as under systemd, is no hindrance.
func TestPathsWithoutLandlock(t *testing.T) {
	token, m := softhsm.New(t), hostilemodule.New(t, "list /")
	h := daemon.NewHSMD(t, daemon.Libraries(token.Store)+daemon.Library("hostile", m.Library, m.Env, fmt.Sprintf("paths = [%q]", m.Dir)))
	startWithoutLandlock(t, h)
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("unix", h.Socket)
		if err == nil {
			conn.Close()
			break
		}
		if time.Now().After(end) {
			t.Fatalf("hsmd does not answer: %v", err)
		}
	}
	status, err := wireClient(t, h.Socket).Status(t.Context(), &wire.StatusRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range status.Libraries {
		err := l.Fault.Err()
		switch l.Name {
		case "softhsm":
			if l.Fault != nil || len(l.Tokens) == 0 {
				t.Errorf("the library without paths: %v, %d tokens", err, len(l.Tokens))
			}
		case "hostile":
			if !errors.Is(err, wire.Unavailable) || !strings.Contains(fmt.Sprint(err), "no Landlock") {
				t.Errorf("the library with paths: %v", err)
			}
		}
	}
	if got := m.Results(t); len(got) != 0 {
		t.Errorf("it was loaded: %v", got)
	}
}

// startWithoutLandlock runs hsmd until the test ends.
func startWithoutLandlock(t *testing.T, h *daemon.HSMD) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, filepath.Join(daemon.Bin(t), "hsmd"), "server", "-config="+h.Config)
	cmd.Env = append(os.Environ(), withoutCall+"="+strconv.Itoa(unix.SYS_LANDLOCK_CREATE_RULESET))
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		err := cmd.Wait()
		log.Close()
		if said, _ := os.ReadFile(log.Name()); err != nil || t.Failed() {
			t.Errorf("hsmd: %v\n%s", err, said)
		} else if !strings.Contains(string(said), "sets paths, and its worker will not be started") {
			t.Errorf("hsmd did not warn:\n%s", said)
		}
	})
}

// forOthers lets every user reach what is in a folder of t.TempDir.
func forOthers(t *testing.T, dir string) {
	t.Helper()
	for _, d := range []string{filepath.Dir(dir), dir} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// TestWorkerUser: a worker of another user has its token and signs, and nothing
// of hsmd's, with paths and without.
func TestWorkerUser(t *testing.T) {
	const nobody = 65534
	token := softhsm.New(t)
	m := hostilemodule.New(t)
	forOthers(t, token.Dir)
	forOthers(t, m.Dir)
	forOthers(t, filepath.Dir(m.Library))
	if os.Getuid() == 0 {
		for _, dir := range []string{token.Dir, m.Dir} {
			if out, err := exec.Command("chown", "-R", fmt.Sprint(nobody), dir).CombinedOutput(); err != nil {
				t.Fatalf("chown: %v\n%s", err, out)
			}
		}
	}
	user := fmt.Sprintf("user = %d", nobody)
	h := daemon.NewHSMD(t, daemon.Library("softhsm", token.Library, map[string]string{"SOFTHSM2_CONF": token.Conf}, user, fmt.Sprintf("paths = [%q]", token.Dir))+
		daemon.Library("hostile", m.Library, m.Env, user)+daemon.WireKeys)
	if os.Getuid() != 0 {
		h.Launch()
		if code := h.WaitEnd(); code != 1 || !strings.Contains(h.Log(), "neither root nor") {
			t.Errorf("hsmd that may not start another user's process: exit %d\n%s", code, h.Log())
		}
		return
	}
	h.Start()
	m.Try(t, userAttempts(h)...)
	c := wireClient(t, h.Socket)
	defineOver(t, c, token, "ca")
	if _, err := c.Generate(t.Context(), &wire.GenerateRequest{Key: "ca", ID: "x"}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Test(t.Context(), &wire.TestRequest{Key: "ca"}); err != nil {
		t.Error(err)
	}
	if _, err := c.Status(t.Context(), &wire.StatusRequest{}); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, m.Results(t), userAttempts(h))
	pids := h.WorkerPIDs()
	if len(pids) != 2 {
		t.Errorf("workers: %v", pids)
	}
	for _, pid := range pids {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"\nUid:\t65534\t65534\t65534\t65534\n", "\nCapPrm:\t0000000000000000\n", "\nCapAmb:\t0000000000000000\n", "\nNoNewPrivs:\t1\n"} {
			if !strings.Contains(string(status), want) {
				t.Errorf("worker %d lacks %q:\n%s", pid, want, status)
			}
		}
	}
}

// userAttempts are those that the user alone is enough to refuse.
func userAttempts(h *daemon.HSMD) []string {
	key := filepath.Join(h.State, "state-key")
	return []string{"read " + key, "link " + key, "truncate " + key, "chmod " + h.State, "create " + filepath.Join(h.State, "new"),
		"remove " + h.Socket, "connect " + h.Socket, "orphan " + h.Socket, fmt.Sprint("signal ", h.PID()), fmt.Sprint("trace ", h.PID()), "setuid"}
}

// TestOpenCryptokiConfined: a library with a daemon behind a socket, locks,
// shared memory and files of its own has them all, if paths names them.
func TestOpenCryptokiConfined(t *testing.T) {
	c, h := softToken(t)
	h.Write(t, strings.Replace(softTokenKey(c, c.PIN), "  library = ",
		`  paths = ["/etc/opencryptoki", "/var/lib/opencryptoki", "/run/lock/opencryptoki", "/run/pkcsslotd.socket", "/dev/shm"]
  library = `, 1))
	h.Start()
	if err := generate(t, h); err != nil {
		t.Fatal(err)
	}
	if _, err := wireClient(t, h.Socket).Test(t.Context(), &wire.TestRequest{Key: "rsa"}); err != nil {
		t.Error(err)
	}
}

// TestPathsWithoutOpenat2: paths do without the call that systemd takes from a
// service with RestrictSUIDSGID=, and follow no link that was made since the
// file was loaded.
func TestPathsWithoutOpenat2(t *testing.T) {
	token, folder := softhsm.New(t), filepath.Join(t.TempDir(), "folder")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	h := daemon.NewHSMD(t, daemon.Library("softhsm", token.Library, map[string]string{"SOFTHSM2_CONF": token.Conf},
		fmt.Sprintf("paths = [%q, %q]", token.Dir, folder)))
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	h.Via("/usr/bin/env", withoutCall+"="+strconv.Itoa(unix.SYS_OPENAT2), self)
	h.Start()
	ask := func() wire.LibraryStatus {
		status, err := wireClient(t, h.Socket).Status(t.Context(), &wire.StatusRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return status.Libraries[0]
	}
	if l := ask(); l.Fault != nil || len(l.Tokens) == 0 {
		t.Errorf("%v, %d tokens", l.Fault.Err(), len(l.Tokens))
	}
	if err := os.Rename(folder, folder+"-moved"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(folder+"-moved", folder); err != nil {
		t.Fatal(err)
	}
	for _, pid := range h.WorkerPIDs() {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		err := ask().Fault.Err()
		if strings.Contains(fmt.Sprint(err), folder+" has become a symbolic link") {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the library with a path that is a link now: %v", err)
		}
	}
}
