package daemon

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Systemd is what a daemon sees of systemd: a socket to which it says how it
// is, and sockets that it is handed.
type Systemd struct {
	t    testing.TB
	conn *net.UnixConn
}

// Under has the next starts of the daemon be by a systemd that wants to hear of
// it within the watchdog's time, if that is not 0.
func (p *process) Under(watchdog time.Duration) *Systemd {
	p.t.Helper()
	path := filepath.Join(ShortDir(p.t), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { conn.Close() })
	p.env = append(p.env, "NOTIFY_SOCKET="+path)
	if watchdog != 0 {
		p.env = append(p.env, fmt.Sprintf("WATCHDOG_USEC=%d", watchdog.Microseconds()))
	}
	return &Systemd{p.t, conn}
}

// Hand has the next start of the daemon begin with a listening socket, as
// descriptor 3, which is announced to it. The caller keeps the file.
func (p *process) Hand(socket *os.File) {
	// LISTEN_PID is the daemon's own number, which a shell knows that becomes it.
	p.Via("/bin/sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" "$@"`)
	p.files = []*os.File{socket}
}

// Hear waits until the daemon says something with these words in it, and gives
// all that it said up to then.
func (s *Systemd) Hear(words string) (all []string) {
	s.t.Helper()
	buf := make([]byte, 4096)
	_ = s.conn.SetReadDeadline(time.Now().Add(patience))
	for {
		n, err := s.conn.Read(buf)
		if err != nil {
			s.t.Fatalf("systemd does not hear %q, but %q: %v", words, all, err)
		}
		all = append(all, string(buf[:n]))
		if strings.Contains(all[len(all)-1], words) {
			return all
		}
	}
}
