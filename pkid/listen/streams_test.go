package listen_test

import (
	"context"
	"crypto/tls"
	"net/http"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/config"
	"github.com/hsmpki/hsmpki/pkid/listen"
)

// TestStreams: one connection of HTTP/2 does not bring as many requests at once
// as hundreds of connections do.
func TestStreams(t *testing.T) {
	cert, key := certificate(t)
	listeners, err := listen.Open([]config.Listener{{Type: "tcp", Address: "127.0.0.1:0", TLSCertFile: cert, TLSKeyFile: key}}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	const requests = 60
	begun, end := make(chan string, requests), make(chan struct{})
	handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		begun <- listen.IdentityOf(r.Context()).Remote
		<-end
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- listeners.Serve(ctx, handler, 5*time.Second) }()

	c := client(t, listeners.Addrs()[0], &tls.Config{InsecureSkipVerify: true, ServerName: "pkid.test"})
	answered := make(chan error, requests)
	for range requests {
		go func() {
			resp, err := c.Get("https://pkid.test/")
			if err == nil {
				resp.Body.Close()
			}
			answered <- err
		}()
	}
	byConnection := map[string]int{}
	for range requests {
		byConnection[<-begun]++
	}
	close(end)
	for range requests {
		if err := <-answered; err != nil {
			t.Error(err)
		}
	}
	for remote, n := range byConnection {
		if n > 32 {
			t.Errorf("%d requests at once on the connection of %s", n, remote)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
