package test

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hsmpki/hsmpki/test/daemon"
)

// ownMounts, in the environment, says that the test program has mounts of its
// own.
const ownMounts = "HSMPKI_OWN_MOUNTS"

// TestCase57_FullDisk: issuing stops below the floor of free space with 503 and a
// time, reads go on, and issuing goes on once there is space; a disk that fills
// up in the middle of commits, and kill -9 upon that, lose nothing that was given
// out.
//
// pkid's state is on a small file system, which this test mounts where nobody
// else sees it: it runs itself once more for that, as root of a user namespace
// if it is not root.
func TestCase57_FullDisk(t *testing.T) {
	if os.Getenv(ownMounts) == "" {
		inOwnMounts(t)
		return
	}
	t.Run("floor", fullDiskFloor)
	t.Run("during commits", fullDiskDuringCommits)
	t.Run("log of signatures", fullDiskAudit)
	t.Run("log of requests", fullDiskRequestLog)
}

func inOwnMounts(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^TestCase57_FullDisk$", "-test.v")
	cmd.Env = append(os.Environ(), ownMounts+"=1", "HSMPKI_BIN="+daemon.Bin(t))
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if uid, gid := os.Getuid(), os.Getgid(); uid != 0 {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: gid, Size: 1}}
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// smallDisk is the file system that a daemon writes to.
type smallDisk struct {
	path    string
	ballast string
}

// onSmallDisk starts both daemons with pkid's state on a file system of 192 MiB.
func onSmallDisk(t *testing.T) (*daemon.Pair, *smallDisk) {
	t.Helper()
	disk := mountDisk(t, "192m")
	p := startHSMD(t)
	p.PKID = daemon.NewPKID(t, p.HSMD, "") // its end comes before the disk's
	p.PKID.OnStateOf(t, &daemon.PKID{State: disk.path})
	return p, disk
}

func (d *smallDisk) free(t *testing.T) int64 {
	t.Helper()
	var s unix.Statfs_t
	if err := unix.Statfs(d.path, &s); err != nil {
		t.Fatal(err)
	}
	return int64(s.Bavail) * s.Bsize
}

// fill leaves so many octets free.
func (d *smallDisk) fill(t *testing.T, left int64) {
	t.Helper()
	f, err := os.OpenFile(d.ballast, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	// pkid writes meanwhile: what it takes is less to be filled.
	for {
		more := d.free(t) - left
		if more <= 0 {
			return
		}
		err := unix.Fallocate(int(f.Fd()), 0, 0, info.Size()+more)
		if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		return
	}
}

func (d *smallDisk) empty(t *testing.T) {
	t.Helper()
	if err := os.Remove(d.ballast); err != nil {
		t.Fatal(err)
	}
}

// wantReads wants everything that is only read, and gives how many certificates
// there are.
func wantReads(t *testing.T, p *daemon.PKID, serial string) int {
	t.Helper()
	list := p.Must(t, "LIST", "pki/certs", nil).Data["keys"].([]any)
	p.Must(t, "GET", "pki/cert/"+serial, nil)
	p.Must(t, "GET", "pki/roles/web", nil)
	p.Must(t, "GET", "pki/ca", nil)
	p.Must(t, "GET", "pki/crl", nil)
	p.Must(t, "GET", "sys/mounts", nil)
	return len(list)
}

func fullDiskFloor(t *testing.T) {
	p, disk := onSmallDisk(t)
	p.PKID.Start()
	ca(t, p)
	csr := map[string]any{"csr": request(t, "www.example.com"), "common_name": "www.example.com"}
	serial := p.PKID.Must(t, "POST", "pki/sign/web", csr).String(t, "serial_number")
	l := startLoad(t, p.PKID, 2)
	l.waitFor(t, 20)

	disk.fill(t, 32<<20)
	eventually(t, "issuing stops", func() bool { return l.refusals() > 0 })
	before := wantReads(t, p.PKID, serial)
	for path, body := range map[string]any{"pki/sign/web": csr, "pki/revoke": map[string]any{"serial_number": serial}, "pki/roles/other": map[string]any{}} {
		a := p.PKID.Refused(t, "POST", path, body, 503, "too little free disk space")
		if a.Header.Get("Retry-After") == "" {
			t.Errorf("POST %s: no Retry-After", path)
		}
	}
	disk.fill(t, 0)
	if after := wantReads(t, p.PKID, serial); after != before {
		t.Errorf("%d certificates, and %d after refusals", before, after)
	}
	signed := l.signed()
	disk.empty(t)
	eventually(t, "issuing goes on", func() bool { return l.signed() > signed+20 })
	// The log may be on the disk that is full.
	if log := p.PKID.Log(); strings.Count(log, "updates are refused until there is space") != 1 || strings.Count(log, "there is space again") != 1 || strings.Contains(log, "request failed") {
		t.Errorf("the log has not once that the disk was full, and that it is not any more, and nothing of single requests:\n%s", log)
	}

	// Started on a disk that is full, it serves what can be read.
	disk.fill(t, 32<<20)
	p.PKID.Restart()
	wantReads(t, p.PKID, serial)
	disk.empty(t)
	l.waitFor(t, 20)
	l.finish(t, p)
}

func fullDiskDuringCommits(t *testing.T) {
	p, disk := onSmallDisk(t)
	p.PKID.Start()
	ca(t, p)
	serial := p.PKID.Must(t, "POST", "pki/sign/web", map[string]any{"csr": request(t, "www.example.com"), "common_name": "www.example.com"}).String(t, "serial_number")
	l := startLoad(t, p.PKID, 4)
	l.waitFor(t, 20)
	disk.fill(t, 0)
	// A log that is written over takes no space: only so much may pass.
	eventually(t, "issuing stops", func() bool { return l.refusals() > 0 })
	wantReads(t, p.PKID, serial)
	p.PKID.Kill9()
	disk.empty(t)
	p.PKID.Start()
	l.waitFor(t, 20)
	l.finish(t, p)
}
