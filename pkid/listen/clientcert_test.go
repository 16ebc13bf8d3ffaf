package listen_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/config"
	"github.com/hsmpki/hsmpki/pkid/listen"
)

// TestClientCertificates: a certificate that a client shows is his, and is told
// of; with tls_client_ca_file none of another CA is let in, and a reload changes
// which those are. That of a proxy is not its clients'.
func TestClientCertificates(t *testing.T) {
	serverCert, serverKey := certificate(t)
	pool := x509.NewCertPool()
	pem, err := os.ReadFile(serverCert)
	if err != nil || !pool.AppendCertsFromPEM(pem) {
		t.Fatal(err)
	}
	type holder struct {
		file string
		tls  *tls.Config
	}
	var mine, others holder
	for _, h := range []*holder{&mine, &others} { // each its own CA
		file, key := certificate(t)
		pair, err := tls.LoadX509KeyPair(file, key)
		if err != nil {
			t.Fatal(err)
		}
		*h = holder{file, &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}, ClientSessionCache: tls.NewLRUClientSessionCache(8)}}
	}
	any := config.Listener{Type: "tcp", Address: "127.0.0.1:0", TLSCertFile: serverCert, TLSKeyFile: serverKey}
	behind, some := any, any
	behind.XForwardedForAuthorizedAddrs = []string{"127.0.0.1"}
	some.TLSClientCAFile, some.Address = mine.file, "localhost:0" // by which a reload finds it

	listeners, err := listen.Open([]config.Listener{any, behind, some}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, len(listen.IdentityOf(r.Context()).Certificates))
	})
	go func() { ended <- listeners.Serve(ctx, handler, 5*time.Second) }()
	t.Cleanup(func() { cancel(); <-ended })
	addrs := listeners.Addrs()

	ask := func(addr net.Addr, settings *tls.Config) string {
		t.Helper()
		c := client(t, addr, settings.Clone())
		resp, err := c.Get("https://pkid.test/")
		if err != nil {
			return "refused"
		}
		defer resp.Body.Close()
		var shown int
		fmt.Fscan(resp.Body, &shown)
		c.CloseIdleConnections()
		return fmt.Sprint(shown)
	}
	none := &tls.Config{RootCAs: pool}
	for _, c := range []struct {
		what     string
		addr     net.Addr
		settings *tls.Config
		want     string
	}{
		{"none", addrs[0], none, "0"}, {"any", addrs[0], mine.tls, "1"},
		{"a proxy's", addrs[1], mine.tls, "0"},
		{"none", addrs[2], none, "0"}, {"one of the CA", addrs[2], mine.tls, "1"}, {"another CA's", addrs[2], others.tls, "refused"},
	} {
		if got := ask(c.addr, c.settings); got != c.want {
			t.Errorf("%s: %s, want %s", c.what, got, c.want)
		}
	}

	some.TLSClientCAFile = others.file
	changed, err := listeners.Read([]config.Listener{some})
	if err != nil {
		t.Fatal(err)
	}
	changed.Use()
	if got := ask(addrs[2], others.tls); got != "1" {
		t.Errorf("after the reload: of the CA that is let in now: %s", got)
	}
	if got := ask(addrs[2], mine.tls); got != "refused" { // also not by resuming the session of before
		t.Errorf("after the reload: of the CA that was let in before: %s", got)
	}
	some.TLSClientCAFile = serverKey
	if _, err := listeners.Read([]config.Listener{some}); err == nil {
		t.Error("a file without a certificate is taken")
	}
}
