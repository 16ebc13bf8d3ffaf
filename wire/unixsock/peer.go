package unixsock

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// Peer is who was on the other end of a connection when it was made, as the
// kernel says (SO_PEERCRED, SO_PEERGROUPS in unix(7)). PID is for logs only: by
// the time it is read it may be another process's.
type Peer struct {
	UID, GID uint32
	PID      int32
	Groups   []uint32 // supplementary
}

// InGroup reports whether gid is one of the peer's groups.
func (p Peer) InGroup(gid uint32) bool { return p.GID == gid || slices.Contains(p.Groups, gid) }

// String is the peer in a log.
func (p Peer) String() string { return fmt.Sprintf("uid %d gid %d pid %d", p.UID, p.GID, p.PID) }

// PeerOf tells who is on the other end of a Unix-socket connection.
func PeerOf(conn net.Conn) (Peer, error) {
	if c, ok := conn.(*Conn); ok {
		return c.Peer, nil
	}
	sc, ok := conn.(syscall.Conn)
	if !ok || conn.RemoteAddr() == nil || conn.RemoteAddr().Network() != "unix" {
		return Peer{}, errors.New("not a Unix-socket connection")
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return Peer{}, err
	}
	var peer Peer
	var failure error
	err = raw.Control(func(fd uintptr) {
		cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err != nil {
			failure = fmt.Errorf("SO_PEERCRED: %w", err)
			return
		}
		peer = Peer{UID: cred.Uid, GID: cred.Gid, PID: cred.Pid}
		if peer.Groups, err = peerGroups(int(fd)); err != nil {
			failure = fmt.Errorf("SO_PEERGROUPS: %w", err)
		}
	})
	return peer, errors.Join(err, failure)
}
