package listen

import (
	"context"
	"net"

	"github.com/hsmpki/hsmpki/wire/unixsock"
)

// Identity is who is on the other end of a request's connection, as far as the
// connection itself says.
type Identity struct {
	// Peer is the process behind a Unix socket, nil for one that came by TCP.
	Peer *unixsock.Peer

	// Remote is the address that a TCP connection came from, "" for a Unix
	// socket. It is for logs only.
	Remote string
}

type identityKey struct{}

// IdentityOf tells who sent the request whose context this is. The zero
// Identity is a stranger.
func IdentityOf(ctx context.Context) Identity {
	who, _ := ctx.Value(identityKey{}).(Identity)
	return who
}

// withIdentity is http.Server's ConnContext: the kernel is asked once for each
// connection, when it is accepted.
func withIdentity(ctx context.Context, conn net.Conn) context.Context {
	who := Identity{}
	if c, ok := conn.(*unixsock.Conn); ok {
		who.Peer = &c.Peer
	} else {
		who.Remote = conn.RemoteAddr().String()
	}
	return context.WithValue(ctx, identityKey{}, who)
}
