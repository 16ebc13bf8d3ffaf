package listen_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/config"
	"github.com/hsmpki/hsmpki/pkid/listen"
)

var quiet = slog.New(slog.DiscardHandler)

// serve opens listeners and answers each request with who sent it.
func serve(t *testing.T, configured ...config.Listener) []net.Addr {
	t.Helper()
	listeners, err := listen.Open(configured, quiet)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who := listen.IdentityOf(r.Context())
		body, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s peer=%v remote=%t body=%d err=%v", r.Proto, who.Peer != nil, who.Remote != "", len(body), err)
	})
	go func() { ended <- listeners.Serve(ctx, handler, 5*time.Second) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return listeners.Addrs()
}

func unixListener(t *testing.T) config.Listener {
	t.Helper()
	dir, err := os.MkdirTemp("", "listen-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return config.Listener{Type: "unix", Address: filepath.Join(dir, "s"), SocketMode: config.DefaultSocketMode}
}

func plainListener() config.Listener {
	return config.Listener{Type: "tcp", Address: "127.0.0.1:0", TLSDisable: true}
}

// client speaks to one address, whatever the URL says.
func client(t *testing.T, addr net.Addr, settings *tls.Config) *http.Client {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: settings, ForceAttemptHTTP2: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, addr.Network(), addr.String())
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 30 * time.Second}
}

func get(t *testing.T, c *http.Client, url string) string {
	t.Helper()
	resp, err := c.Post(url, "", strings.NewReader("12345"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// TestIdentity: who comes by a Unix socket is known, who comes by TCP is not.
func TestIdentity(t *testing.T) {
	cert, key := certificate(t)
	addrs := serve(t, unixListener(t), plainListener(), config.Listener{Type: "tcp", Address: "127.0.0.1:0", TLSCertFile: cert, TLSKeyFile: key})
	pool := x509.NewCertPool()
	pem, err := os.ReadFile(cert)
	if err != nil || !pool.AppendCertsFromPEM(pem) {
		t.Fatal(err)
	}
	if got := get(t, client(t, addrs[0], nil), "http://x/"); got != "HTTP/1.1 peer=true remote=false body=5 err=<nil>" {
		t.Errorf("Unix socket: %s", got)
	}
	if got := get(t, client(t, addrs[1], nil), "http://x/"); got != "HTTP/1.1 peer=false remote=true body=5 err=<nil>" {
		t.Errorf("TCP: %s", got)
	}
	if got := get(t, client(t, addrs[2], &tls.Config{RootCAs: pool}), "https://pkid.test/"); got != "HTTP/2.0 peer=false remote=true body=5 err=<nil>" {
		t.Errorf("TLS: %s", got)
	}
	_, err = client(t, addrs[2], &tls.Config{RootCAs: pool, MaxVersion: tls.VersionTLS11}).Get("https://pkid.test/")
	if err == nil {
		t.Error("TLS 1.1 is spoken")
	}
}

// TestProxies: what a proxy says of its client is heeded, what anybody else says
// is not.
func TestProxies(t *testing.T) {
	plain, behind, nested := plainListener(), plainListener(), plainListener()
	behind.XForwardedForAuthorizedAddrs = []string{"127.0.0.1"}
	nested.XForwardedForAuthorizedAddrs = []string{"127.0.0.0/8", "2001:db8:1::/48"}
	listeners, err := listen.Open([]config.Listener{plain, behind, nested}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- listeners.Serve(ctx, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, listen.IdentityOf(r.Context()).Remote)
		}), 5*time.Second)
	}()
	defer func() {
		cancel()
		<-ended
	}()
	const own = "127.0.0.1:"
	for _, c := range []struct {
		listener int
		header   []string
		want     string // the beginning
	}{
		{0, nil, own},
		{0, []string{"198.51.100.7"}, own},
		{1, nil, own},
		{1, []string{""}, own},
		{1, []string{"198.51.100.7"}, "198.51.100.7"},
		{1, []string{"2001:db8::7"}, "2001:db8::7"},
		{1, []string{"::ffff:198.51.100.7"}, "198.51.100.7"},
		{1, []string{"192.0.2.1, 198.51.100.7"}, "198.51.100.7"}, // whom the client claims to be does not count
		{1, []string{"192.0.2.1", "198.51.100.7"}, "198.51.100.7"},
		{1, []string{"no address, 198.51.100.7"}, "198.51.100.7"},
		{1, []string{"198.51.100.7, no address"}, own},
		{1, []string{"198.51.100.7, 127.0.0.2"}, "127.0.0.2"},
		{2, []string{"192.0.2.1, 198.51.100.7, 2001:db8:1::1, 127.0.0.2"}, "198.51.100.7"},
		{2, []string{"127.0.0.3"}, own},
	} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", "http://x/", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header["X-Forwarded-For"] = c.header
		resp, err := client(t, listeners.Addrs()[c.listener], nil).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || !strings.HasPrefix(string(got), c.want) || c.want != own && string(got) != c.want {
			t.Errorf("listener %d, %q: %s, want %s", c.listener, c.header, got, c.want)
		}
	}
}

// TestRefusedListeners: an error names the file's place and what is wrong, and
// those that were open before it are closed again.
func TestRefusedListeners(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for what, c := range map[string]struct {
		listener config.Listener
		says     string
	}{
		"a port that is taken":         {config.Listener{Type: "tcp", Address: taken.Addr().String(), TLSDisable: true}, "in use"},
		"no TLS, but the whole world":  {config.Listener{Type: "tcp", Address: "0.0.0.0:0", TLSDisable: true}, "loopback"},
		"a certificate that is no one": {config.Listener{Type: "tcp", Address: "127.0.0.1:0", TLSCertFile: "/nowhere.crt", TLSKeyFile: "/nowhere.key"}, "/nowhere.crt"},
		"a folder that is not there":   {config.Listener{Type: "unix", Address: "/nowhere/s"}, "/nowhere"},
	} {
		first := unixListener(t)
		_, err := listen.Open([]config.Listener{first, c.listener}, quiet)
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", what, err, c.says)
		}
		if conn, err := net.Dial("unix", first.Address); err == nil {
			conn.Close()
			t.Errorf("%s: the first listener is still open", what)
		}
	}
}

// TestStrangersLeaveRoom: one who opens more connections than the process has
// descriptors does not keep the Unix socket's clients out.
func TestStrangersLeaveRoom(t *testing.T) {
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	// The clients' ends of the connections are this process's too.
	few := syscall.Rlimit{Cur: 400, Max: before.Max}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	addrs := serve(t, unixListener(t), plainListener())
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	var strangers []net.Conn
	defer func() {
		for _, c := range strangers {
			c.Close()
		}
	}()
	for range 150 {
		c, err := net.Dial("tcp", addrs[1].String())
		if err != nil {
			t.Fatal(err)
		}
		strangers = append(strangers, c)
	}
	// The last of them is not served while the others say nothing.
	last := strangers[len(strangers)-1]
	if _, err := io.WriteString(last, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	last.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	if n, err := last.Read(make([]byte, 1)); err == nil {
		t.Errorf("connection %d was served (%d)", len(strangers), n)
	}
	if got := get(t, client(t, addrs[0], nil), "http://x/"); !strings.Contains(got, "peer=true") {
		t.Errorf("the Unix socket: %s", got)
	}
	// They make room, and those who waited are served.
	for _, c := range strangers[:len(strangers)-1] {
		c.Close()
	}
	last.SetReadDeadline(time.Now().Add(30 * time.Second))
	if answer, err := io.ReadAll(last); err != nil || !strings.Contains(string(answer), "200 OK") {
		t.Errorf("who waited: %q %v", answer, err)
	}
}
