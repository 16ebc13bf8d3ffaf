package machine

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// loop is what the shell does: for each line on descriptor 3 the step that it
// names, then its exit code between two marks that nothing else prints. A step
// that fails ends the shell.
const loop = `set -a -o pipefail; cd /root
while read -r how file <&3; do
	if [ "$how" = refused ]; then bash -e "$file"; code=$?
	else set -e; . "$file"; set +e; code=0; fi
	printf '\036%d\036' "$code"
done`

var mark = regexp.MustCompile("\x1e([0-9]+)\x1e")

// prompt is the beginning of a line that waits for somebody to type.
var prompt = regexp.MustCompile(`[^\r\n]+[:?)] ?$`)

// shell is a bash of root's, on a terminal, so that programs ask for PINs there.
type shell struct {
	cmd      *exec.Cmd
	terminal *os.File // our end
	steps    *os.File
	read     chan []byte // what it prints; closed at its end
}

func startShell(leader string, env []string) (*shell, error) {
	ours, theirs, err := terminal()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	in, out, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	s := &shell{terminal: ours, steps: out, read: make(chan []byte, 64)}
	s.cmd = exec.Command("nsenter", "--target", leader, "--all", "bash", "--norc", "-c", loop)
	s.cmd.Env = append([]string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8", "TERM=dumb", "SYSTEMD_PAGER=", "SYSTEMD_COLORS=0"}, env...)
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr, s.cmd.ExtraFiles = theirs, theirs, theirs, []*os.File{in}
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(s.read)
		for {
			b := make([]byte, 4096)
			n, err := ours.Read(b)
			s.read <- b[:n]
			if err != nil {
				return
			}
		}
	}()
	return s, nil
}

// terminal makes a pseudo terminal, wide enough that nothing is wrapped.
func terminal() (ours, theirs *os.File, err error) {
	ours, err = os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, err
	}
	fd := int(ours.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 50, Col: 400})
	}
	if err == nil {
		theirs, err = os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|syscall.O_NOCTTY, 0)
	}
	if err != nil {
		ours.Close()
		return nil, nil, err
	}
	return ours, theirs, nil
}

// step has the shell do one step, and gives what it printed and its exit code.
func (s *shell) step(line string, answers []string) (string, int, error) {
	if _, err := fmt.Fprintln(s.steps, line); err != nil {
		return "", 0, err
	}
	var said bytes.Buffer
	printed := func() string { return strings.ReplaceAll(said.String(), "\r\n", "\n") }
	end := time.After(patience)
	for {
		select {
		case b, more := <-s.read:
			said.Write(b)
			if found := mark.FindStringSubmatch(said.String()); found != nil {
				code, err := strconv.Atoi(found[1])
				said.Truncate(strings.Index(said.String(), found[0]))
				if err == nil && len(answers) > 0 {
					err = fmt.Errorf("%d answers were not asked for", len(answers))
				}
				return printed(), code, err
			}
			if !more {
				return printed(), 0, errors.New("it failed, and the shell has ended")
			}
		case <-time.After(200 * time.Millisecond):
			if len(answers) > 0 && prompt.Match(said.Bytes()) {
				if _, err := s.terminal.WriteString(answers[0] + "\n"); err != nil {
					return printed(), 0, err
				}
				answers = answers[1:]
				said.WriteByte('\n')
			}
		case <-end:
			return printed(), 0, errors.New("it does not end")
		}
	}
}

func (s *shell) end() {
	s.steps.Close()
	if s.cmd.ProcessState == nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
	}
	s.terminal.Close()
}
