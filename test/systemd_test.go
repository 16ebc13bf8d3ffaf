package test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/test/daemon"
	"github.com/hsmpki/hsmpki/test/softhsm"
)

// reloading is what a Type=notify-reload unit waits for.
var reloading = regexp.MustCompile(`^RELOADING=1\nMONOTONIC_USEC=[1-9][0-9]*\n$`)

// TestSystemdHearsOfALife takes both daemons through start, reload and end.
func TestSystemdHearsOfALife(t *testing.T) {
	token := softhsm.New(t)
	h := daemon.NewHSMD(t, daemon.Libraries(token.Store)+daemon.WireKeys)
	toHSMD := h.Under(300 * time.Millisecond)
	h.Start()
	p := daemon.NewPKID(t, h, "")
	toPKID := p.Under(300 * time.Millisecond)
	p.Start()

	for _, d := range []struct {
		name    string
		systemd *daemon.Systemd
		status  string
		reload  func() (string, bool)
		stop    func()
	}{
		{"pkid", toPKID, "0 stored mounts", p.Reload, p.Stop},
		{"hsmd", toHSMD, "1 libraries (0 of them away), 1 tokens", h.Reload, h.Stop},
	} {
		if said := d.systemd.Hear("READY=1"); len(said) != 1 {
			t.Errorf("%s says before it is ready: %q", d.name, said)
		}
		d.systemd.Hear("WATCHDOG=1\nSTATUS=" + d.status)
		d.systemd.Hear("WATCHDOG=1")
		if _, taken := d.reload(); !taken {
			t.Errorf("%s does not reload", d.name)
		}
		said := d.systemd.Hear("RELOADING=1")
		if last := said[len(said)-1]; !reloading.MatchString(last) {
			t.Errorf("%s says of its reload %q", d.name, last)
		}
		d.systemd.Hear("READY=1")
		d.stop()
		d.systemd.Hear("STOPPING=1")
	}
}

// TestSystemdDoesNotRestartForAnHSM has a library hang and its worker die:
// hsmd says so, and lives.
func TestSystemdDoesNotRestartForAnHSM(t *testing.T) {
	token := softhsm.New(t)
	h := daemon.NewHSMD(t, daemon.Libraries(token.Store))
	systemd := h.Under(300 * time.Millisecond)
	h.Start()
	systemd.Hear("WATCHDOG=1\nSTATUS=1 libraries (0 of them away)")
	for _, pid := range h.WorkerPIDs() {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
	}
	systemd.Hear("WATCHDOG=1\nSTATUS=1 libraries (1 of them away)")
	for _, pid := range h.WorkerPIDs() {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	systemd.Hear("WATCHDOG=1\nSTATUS=1 libraries (0 of them away)")
}

// activated makes a socket as hsmd.socket does.
func activated(t *testing.T, path string, mode os.FileMode) *os.File {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	defer l.Close()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	file, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

// TestSocketActivation has hsmd live twice on a socket that outlives it: who
// connects meanwhile is answered.
func TestSocketActivation(t *testing.T) {
	token := softhsm.New(t)
	h := daemon.NewHSMD(t, daemon.Libraries(token.Store)+hclKey(token, "k"))
	h.Hand(activated(t, h.Socket, 0o666))
	for range 2 {
		h.Start()
		command := exec.Command(filepath.Join(daemon.Bin(t), "hsmd"), "key", "list", "-address="+h.Socket)
		if out, err := command.CombinedOutput(); err != nil || !strings.Contains(string(out), "k") {
			t.Fatalf("hsmd key list: %v\n%s", err, out)
		}
		h.Stop()
		if _, err := os.Stat(h.Socket); err != nil {
			t.Fatalf("the socket does not outlive hsmd: %v", err)
		}
	}
	waiting := exec.Command(filepath.Join(daemon.Bin(t), "hsmd"), "key", "list", "-address="+h.Socket)
	if err := waiting.Start(); err != nil {
		t.Fatal(err)
	}
	h.Start()
	if err := waiting.Wait(); err != nil {
		t.Errorf("what connected before hsmd was there failed: %v", err)
	}
}

func TestSocketActivationIsRefused(t *testing.T) {
	token := softhsm.New(t)
	for _, c := range []struct {
		name, says string
		socket     func(h *daemon.HSMD) *os.File
	}{
		{"a mode that is not the file's", "its mode is 0777 and should be 0666",
			func(h *daemon.HSMD) *os.File { return activated(t, h.Socket, 0o777) }},
		{"a path that is not the file's", "only 0 of them are listeners in hsmd's file",
			func(h *daemon.HSMD) *os.File { return activated(t, filepath.Join(h.Dir, "other.sock"), 0o666) }},
		{"no socket", "getsockname", func(h *daemon.HSMD) *os.File {
			file, err := os.Open("/dev/null")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { file.Close() })
			return file
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := daemon.NewHSMD(t, daemon.Libraries(token.Store))
			h.Hand(c.socket(h))
			h.Launch()
			if code := h.WaitEnd(); code != 1 || !strings.Contains(h.Log(), c.says) {
				t.Errorf("code %d\n%s", code, h.Log())
			}
		})
	}
}
