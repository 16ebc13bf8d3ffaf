package test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/hsmpki/hsmpki/test/daemon"
)

// demo is a checkout of its own with the scripts behind make demo, up and down,
// for a user who is not root.
type demo struct {
	dir  string
	port string
}

func newDemo(t *testing.T) *demo {
	t.Helper()
	_, port, err := net.SplitHostPort(freePort(t))
	if err != nil {
		t.Fatal(err)
	}
	d := &demo{dir: daemon.ShortDir(t), port: port}
	for _, dir := range []string{"bin", "test/demo", "run"} {
		if err := os.MkdirAll(filepath.Join(d.dir, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	scripts, err := filepath.Glob("demo/*.sh")
	if err != nil {
		t.Fatal(err)
	}
	for _, script := range scripts {
		copyFile(t, script, filepath.Join(d.dir, "test", script))
	}
	for _, program := range []string{"hsmd", "pkid"} {
		copyFile(t, filepath.Join(daemon.Bin(t), program), filepath.Join(d.dir, "bin", program))
	}
	if os.Getuid() == 0 {
		for _, dir := range []string{d.dir, filepath.Join(d.dir, "run")} {
			if err := os.Chown(dir, nobody, nobody); err != nil {
				t.Fatal(err)
			}
		}
	}
	return d
}

const nobody = 65534

// run runs a script, as nobody if the test is root's, and gives what it printed.
func (d *demo) run(t *testing.T, script string) string {
	t.Helper()
	cmd := exec.Command("bash", filepath.Join(d.dir, "test/demo", script))
	cmd.Env = append(os.Environ(), "HOME="+d.dir, "PORT="+d.port)
	cmd.Dir = d.dir
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	// Through a file: a pipe would stay open in the daemons that go on running.
	out := filepath.Join(t.TempDir(), "out")
	file, err := os.Create(out)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	cmd.Stdout, cmd.Stderr = file, file
	err = cmd.Run()
	text, _ := os.ReadFile(out)
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, text)
	}
	return string(text)
}

// daemons are the processes that the scripts have started and not ended.
func (d *demo) daemons() (pids []int) {
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range all {
		if line, err := os.ReadFile(path); err == nil && strings.Contains(string(line), d.dir+"/bin/") {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			pids = append(pids, pid)
		}
	}
	return pids
}

// TestDemo is make demo, make up twice and make down, as an ordinary user: the
// certificate verifies, and nothing is left running.
func TestDemo(t *testing.T) {
	t.Parallel()
	d := newDemo(t)
	t.Cleanup(func() {
		for _, pid := range d.daemons() {
			t.Errorf("process %d is left running", pid)
			syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	if out := d.run(t, "demo.sh"); !strings.Contains(out, "www.example.com.crt: OK") {
		t.Errorf("openssl verified nothing:\n%s", out)
	}
	if left := d.daemons(); len(left) != 0 {
		t.Errorf("the demo leaves %v running", left)
	}
	out := d.run(t, "up.sh")
	if url := "-url=http://127.0.0.1:" + d.port; !strings.Contains(out, url) {
		t.Errorf("up names no %s for a port of one's own:\n%s", url, out)
	}
	first := d.daemons()
	if len(first) != 2 {
		t.Errorf("after up: processes %v, want hsmd and pkid", first)
	}
	if out := d.run(t, "up.sh"); !strings.Contains(out, "running already") {
		t.Errorf("up, while both run:\n%s", out)
	}
	d.run(t, "down.sh")
	if left := d.daemons(); len(left) != 0 {
		t.Errorf("down leaves %v running", left)
	}
}

// TestSoakLength: make soak takes its length from the environment as well as
// from its arguments.
func TestSoakLength(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("make", "-n", "-C", "..", "soak")
	cmd.Env = append(os.Environ(), "SOAK=1h")
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "HSMPKI_SOAK=1h") {
		t.Errorf("SOAK=1h make soak: %v\n%s", err, out)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, content, 0o755); err != nil {
		t.Fatal(err)
	}
}
