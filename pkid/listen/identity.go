package listen

import (
	"context"
	"crypto/x509"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/hsmpki/hsmpki/wire/unixsock"
)

// Identity is who is on the other end of a request's connection, as far as the
// connection itself says.
type Identity struct {
	// Peer is the process behind a Unix socket, nil for one that came by TCP.
	Peer *unixsock.Peer

	// Remote is the address that a TCP connection came from, "" for a Unix
	// socket; of a request through a proxy, that of the proxy's client. It is for
	// logs and limits, not for rights.
	Remote string

	// Certificates are what the client showed of itself in the TLS handshake, its
	// own first, whose key it has proven to have. Nobody has looked yet at who
	// issued them. None behind a proxy: its own is not its clients'.
	Certificates []*x509.Certificate
}

type (
	identityKey struct{}
	proxiesKey  struct{} // the proxies that a connection may come from
	watchKey    struct{} // whether whoever asks may see the metrics
)

// IdentityOf tells who sent the request whose context this is. The zero
// Identity is a stranger.
func IdentityOf(ctx context.Context) Identity {
	who, _ := ctx.Value(identityKey{}).(Identity)
	return who
}

// withProxies is http.Server's BaseContext.
func withProxies(l net.Listener) context.Context {
	ctx := context.Background()
	if l, ok := l.(*listener); ok {
		ctx = context.WithValue(ctx, proxiesKey{}, l.proxies)
		ctx = context.WithValue(ctx, watchKey{}, l.config.UnauthenticatedMetricsAccess)
	}
	return ctx
}

// MayWatch reports whether the listener that a request came by shows metrics to
// whoever asks.
func MayWatch(ctx context.Context) bool {
	may, _ := ctx.Value(watchKey{}).(bool)
	return may
}

// identified adds what only a request tells of who sent it: that one from a proxy
// is its client's, and the certificate that was shown.
func identified(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		proxies, _ := r.Context().Value(proxiesKey{}).([]netip.Prefix)
		who := IdentityOf(r.Context())
		from, err := netip.ParseAddrPort(who.Remote)
		switch proxied := err == nil && within(proxies, from.Addr()); {
		case proxied:
			if client, ok := forwardedFor(r.Header, proxies); ok {
				who.Remote = client.String()
				r = r.WithContext(context.WithValue(r.Context(), identityKey{}, who))
			}
		case r.TLS != nil && len(r.TLS.PeerCertificates) > 0:
			who.Certificates = r.TLS.PeerCertificates
			r = r.WithContext(context.WithValue(r.Context(), identityKey{}, who))
		}
		next.ServeHTTP(w, r)
	})
}

// forwardedFor finds the last address that is no proxy's. What stands before it
// comes from that client, who may write there what he likes.
func forwardedFor(header http.Header, proxies []netip.Prefix) (netip.Addr, bool) {
	hops := strings.Split(strings.Join(header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		addr, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			return netip.Addr{}, false
		}
		if !within(proxies, addr) {
			return addr.Unmap(), true
		}
	}
	return netip.Addr{}, false
}

func within(ranges []netip.Prefix, addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	return slices.ContainsFunc(ranges, func(p netip.Prefix) bool { return p.Contains(addr) })
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
