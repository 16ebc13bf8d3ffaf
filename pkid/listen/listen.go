// Package listen opens pkid's listeners, Unix sockets and TCP, and attaches to
// each request who sent it. It knows no path of the API.
//
// Start at [Open].
package listen

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/net/netutil"

	"github.com/hsmpki/hsmpki/config"
	"github.com/hsmpki/hsmpki/wire/unixsock"
)

// What a client may take, so that a silent one is cut off.
const (
	headerBudget = 10 * time.Second // to send a request's header
	bodyBudget   = time.Minute      // to send its body
	idleBudget   = 2 * time.Minute  // between two requests

	maxHeader = 64 << 10 // octets

	// maxStrangers is how many connections of a TCP listener are open at once,
	// and a quarter of the process's descriptors if that is less.
	maxStrangers = 4096

	// maxStreams is how many requests one connection of HTTP/2 may have under
	// way; a client that needs more opens another one.
	maxStreams = 32
)

// Listeners are the open listeners of a process.
type Listeners struct {
	open []*listener
	log  *slog.Logger
}

// listener is one that is open, as it is configured.
type listener struct {
	net.Listener
	config  config.Listener
	proxies []netip.Prefix
	tls     atomic.Pointer[tls.Config] // nil without TLS
}

// Open opens all listeners, or none. An error names the place in the
// configuration.
func Open(configured []config.Listener, log *slog.Logger) (*Listeners, error) {
	ls := &Listeners{log: log}
	for _, c := range configured {
		l, err := open(c)
		if err != nil {
			ls.Close()
			return nil, err
		}
		ls.open = append(ls.open, l)
	}
	return ls, nil
}

func open(c config.Listener) (*listener, error) {
	l := &listener{config: c}
	switch c.Type {
	case "unix":
		socket, err := unixsock.Listen(unixsock.Config{Path: c.Address, Mode: c.SocketMode.Std(), User: c.SocketUser, Group: c.SocketGroup})
		if err != nil {
			return nil, c.Place.Errorf("address", "listener: %v", err)
		}
		l.Listener = socket
		return l, nil
	case "tcp":
		if err := l.openTCP(); err != nil {
			return nil, err
		}
		return l, nil
	}
	return nil, fmt.Errorf("listener %q: no such type", c.Type)
}

// openTCP opens a TCP listener with TLS 1.2 or better, or without any on the
// loopback interface.
func (l *listener) openTCP() error {
	c := l.config
	for _, text := range c.XForwardedForAuthorizedAddrs {
		proxies, err := config.ParseRange(text)
		if err != nil {
			return c.Place.Errorf("x_forwarded_for_authorized_addrs", "listener: %v", err)
		}
		l.proxies = append(l.proxies, proxies)
	}
	if !c.TLSDisable {
		settings, err := tlsOf(c)
		if err != nil {
			return err
		}
		l.tls.Store(settings)
	}
	socket, err := net.Listen("tcp", c.Address)
	if err != nil {
		return c.Place.Errorf("address", "listener: %v", err)
	}
	if !c.TLSDisable {
		l.Listener = tls.NewListener(limited(socket), &tls.Config{
			GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return l.tls.Load(), nil },
		})
		return nil
	}
	// "localhost" is a name, and names can be made to mean anything.
	if addr, ok := socket.Addr().(*net.TCPAddr); !ok || !addr.IP.IsLoopback() {
		socket.Close()
		return c.Place.Errorf("tls_disable", "listener: tls_disable: %s is not a loopback address", socket.Addr())
	}
	l.Listener = limited(socket)
	return nil
}

// tlsOf reads the files that a listener is configured with. Clients are asked
// for a certificate and need have none; what one is good for is decided where it
// is used to log in, but with tls_client_ca_file one of any other CA does not
// come in at all.
func tlsOf(c config.Listener) (*tls.Config, error) {
	certificate, err := tls.LoadX509KeyPair(c.TLSCertFile, c.TLSKeyFile)
	if err != nil {
		return nil, c.Place.Errorf("tls_cert_file", "listener: TLS certificate: %v", err)
	}
	settings := &tls.Config{
		Certificates: []tls.Certificate{certificate},
		ClientAuth:   tls.RequestClientCert,
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{"h2", "http/1.1"},
	}
	if c.TLSClientCAFile == "" {
		return settings, nil
	}
	pem, err := os.ReadFile(c.TLSClientCAFile)
	if err != nil {
		return nil, c.Place.Errorf("tls_client_ca_file", "listener: %v", err)
	}
	settings.ClientAuth, settings.ClientCAs = tls.VerifyClientCertIfGiven, x509.NewCertPool()
	if !settings.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, c.Place.Errorf("tls_client_ca_file", "listener: %s has no certificate in PEM", c.TLSClientCAFile)
	}
	return settings, nil
}

// limited bounds the connections of strangers: one who opens as many as there
// are descriptors must neither keep the Unix sockets' clients out nor Pebble
// from its files. Those above the bound wait to be accepted; the silent ones
// among the others are soon cut off.
func limited(l net.Listener) net.Listener {
	most := maxStrangers
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err == nil && files.Cur < 4*maxStrangers {
		most = max(int(files.Cur/4), 1)
	}
	return netutil.LimitListener(l, most)
}

// Addrs are the addresses of the listeners, in the order of the configuration.
func (ls *Listeners) Addrs() []net.Addr {
	addrs := make([]net.Addr, len(ls.open))
	for i, l := range ls.open {
		addrs[i] = l.Addr()
	}
	return addrs
}

// Serve serves handler on all listeners until ctx is done or one of them
// fails, then lets requests under way finish, for as long as grace allows, and
// closes everything.
func (ls *Listeners) Serve(ctx context.Context, handler http.Handler, grace time.Duration) error {
	server := &http.Server{
		Handler:           withDeadlines(identified(handler)),
		BaseContext:       withProxies,
		ConnContext:       withIdentity,
		ReadHeaderTimeout: headerBudget,
		IdleTimeout:       idleBudget,
		MaxHeaderBytes:    maxHeader,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
		ErrorLog:          slog.NewLogLogger(ls.log.Handler(), slog.LevelDebug),
	}
	failed := make(chan error, len(ls.open))
	var running sync.WaitGroup
	for _, l := range ls.open {
		running.Go(func() {
			if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("listener %s: %w", l.Addr(), err)
			}
		})
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	ending, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	if late := server.Shutdown(ending); late != nil {
		ls.log.Warn("requests under way were cut off", "after", grace)
		server.Close()
	}
	running.Wait()
	return err
}

// Close closes the listeners, for a process that does not come to serve them.
func (ls *Listeners) Close() {
	for _, l := range ls.open {
		l.Close()
	}
}
