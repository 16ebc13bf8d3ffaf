// Package machine makes machines to try the handbook on: containers with a
// systemd of their own, in which both daemons are installed as packages install
// them, under their units and users. A machine has this one's files below, and
// what is written there is in memory and gone with it.
//
// It needs root, systemd-nspawn and the right to mount, which not every container
// has: [Room.Refused] says why not. It knows nothing of what is tried. Start at
// [Room.Boot].
package machine

import (
	"bytes"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/test/daemon"
)

//go:embed boot.sh
var boot []byte

// patience bounds every wait here: a boot, which takes seconds, and a step.
const patience = time.Minute

// Room is where machines stand: they share a memory stick at /media/usb and a
// place for backups at /backup.
type Room struct {
	t    testing.TB
	tree string
	dir  string
}

// NewRoom makes an empty room. tree is the root of the source tree.
func NewRoom(t testing.TB, tree string) *Room {
	t.Helper()
	tree, err := filepath.Abs(tree)
	if err != nil {
		t.Fatal(err)
	}
	r := &Room{t: t, tree: tree, dir: daemon.ShortDir(t)}
	for _, d := range []string{"backup", "usb", "steps"} {
		if err := os.Mkdir(filepath.Join(r.dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(r.dir, "boot.sh"), boot, 0o600); err != nil {
		t.Fatal(err)
	}
	return r
}

// Machine is a running machine, with a shell of root's on a terminal.
type Machine struct {
	Name   string
	room   *Room
	cmd    *exec.Cmd
	ended  chan struct{} // closed when cmd has
	leader string        // process number of its init
	shell  *shell
	steps  int
}

// Refused says why no machine can be booted here, or none that the pages are about,
// which is Debian; nil if one can. First a program that ends at once is the init:
// what that says is short. Then one is booted, of which nothing of ours is a part.
func (r *Room) Refused() error {
	cmd, err := r.nspawn("probe", "--private-network", "/bin/sh", "-c", "command -v apt-get >/dev/null || { echo there is no apt-get >&2; exit 1; }")
	if err != nil {
		return err
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(out))
	}
	m, err := r.Boot("probe", true, nil)
	if err == nil {
		m.Lose()
	}
	return err
}

// nspawn is the command that makes a machine's files and runs what args say there.
func (r *Room) nspawn(name string, args ...string) (*exec.Cmd, error) {
	work := filepath.Join(r.dir, name)
	if err := os.MkdirAll(work, 0o755); err != nil {
		return nil, err
	}
	// Of a PID namespace whose first process is killed all are killed, the machine's
	// own init among them, which nspawn alone would leave behind.
	args = append([]string{"--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "slave", "bash", filepath.Join(r.dir, "boot.sh"), work, r.tree, daemon.Bin(r.t), r.dir, name}, args...)
	cmd := exec.Command("unshare", args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd, nil
}

// Boot starts a machine, and a shell in which env is set. One that is offline has
// no network.
func (r *Room) Boot(name string, offline bool, env []string) (*Machine, error) {
	args := []string{"--boot", "systemd.unit=handbook.target"}
	if offline {
		args = append([]string{"--private-network"}, args...)
	}
	cmd, err := r.nspawn(name, args...)
	if err != nil {
		return nil, err
	}
	out, err := os.Create(filepath.Join(r.dir, name+".console"))
	if err != nil {
		return nil, err
	}
	defer out.Close()
	m := &Machine{Name: name, room: r, cmd: cmd, ended: make(chan struct{})}
	m.cmd.Stdout, m.cmd.Stderr = out, out
	if err := m.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = m.cmd.Wait()
		close(m.ended)
	}()
	r.t.Cleanup(m.Lose)
	end := time.After(patience)
	for {
		select {
		case <-time.After(50 * time.Millisecond):
			if m.up() {
				m.shell, err = startShell(m.leader, env)
				return m, err
			}
			continue
		case <-m.ended:
		case <-end:
		}
		console, _ := os.ReadFile(out.Name())
		return nil, fmt.Errorf("machine %s does not boot:\n%s", name, console)
	}
}

// up says whether the machine is up, and then knows its leader.
func (m *Machine) up() bool {
	for _, nspawn := range children(fmt.Sprint(m.cmd.Process.Pid)) {
		for _, pid := range children(nspawn) {
			comm, _ := os.ReadFile("/proc/" + pid + "/comm")
			if string(comm) == "systemd\n" && exec.Command("nsenter", "--target", pid, "--all", "systemctl", "--quiet", "is-active", "handbook.target").Run() == nil {
				m.leader = pid
				return true
			}
		}
	}
	return false
}

// children are the numbers of a process's children.
func children(pid string) []string {
	list, _ := os.ReadFile("/proc/" + pid + "/task/" + pid + "/children")
	return strings.Fields(string(list))
}

// Journal is the end of what both daemons have logged, as many lines as that; 0 is
// all of it.
func (m *Machine) Journal(lines int) string {
	args := []string{"--target", m.leader, "--all", "journalctl", "--no-pager", "-o", "cat", "-u", "hsmd", "-u", "pkid"}
	if lines > 0 {
		args = append(args, "-n", strconv.Itoa(lines))
	}
	out, _ := exec.Command("nsenter", args...).CombinedOutput()
	return string(out)
}

// Path is where a path of the machine is found from here.
func (m *Machine) Path(inside string) string {
	return filepath.Join("/proc", m.leader, "root", inside)
}

// Lose switches the machine off as a power cut does. What it had is gone.
func (m *Machine) Lose() {
	if m.shell != nil {
		m.shell.end()
	}
	_ = m.cmd.Process.Kill()
	<-m.ended
}

// Run runs a script in the machine's shell, which keeps its variables and its
// folder from step to step, and gives what it printed. Each answer is typed when
// the script waits at a prompt. With refused, a shell of its own runs the script,
// and is to fail.
func (m *Machine) Run(script string, answers []string, refused bool) (string, error) {
	m.steps++
	step := fmt.Sprintf("%s-%d.sh", m.Name, m.steps)
	if err := os.WriteFile(filepath.Join(m.room.dir, "steps", step), []byte(script), 0o600); err != nil {
		return "", err
	}
	how := "run"
	if refused {
		how = "refused"
	}
	out, code, err := m.shell.step(how+" /steps/"+step, answers)
	switch {
	case err != nil:
		return out, err
	case (code != 0) != refused:
		return out, fmt.Errorf("exit code %d", code)
	}
	return out, nil
}
