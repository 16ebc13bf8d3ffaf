package jwt_test

import (
	"context"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/pkid/auth/jwt"
)

// keyServer is an issuer's web server, whose answers change.
type keyServer struct {
	*httptest.Server
	fetches atomic.Int64
	answer  atomic.Value // of func(http.ResponseWriter)
}

func serveKeys(t *testing.T, start func(http.Handler) *httptest.Server, answer func(http.ResponseWriter)) *keyServer {
	t.Helper()
	s := &keyServer{}
	s.answer.Store(answer)
	s.Server = start(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.fetches.Add(1)
		s.answer.Load().(func(http.ResponseWriter))(w)
	}))
	t.Cleanup(s.Close)
	return s
}

func text(body string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) { fmt.Fprint(w, body) }
}

// clock is moved by the test.
type clock struct{ nanoseconds atomic.Int64 }

func (c *clock) now() time.Time       { return now.Add(time.Duration(c.nanoseconds.Load())) }
func (c *clock) pass(d time.Duration) { c.nanoseconds.Add(int64(d)) }

func wantVerify(t *testing.T, v *jwt.Verifier, token string, want bool) {
	t.Helper()
	if _, err := v.Verify(t.Context(), token); (err == nil) != want {
		t.Errorf("verified: %v", err)
	}
}

func TestFetchedKeys(t *testing.T) {
	s := serveKeys(t, httptest.NewServer, text(keySet(t, ecSigner)))
	var c clock
	v := verifier(t, configure(t, map[string]any{"jwks_url": s.URL}), c.now)
	wantFetches := func(want int64) {
		t.Helper()
		if got := s.fetches.Load(); got != want {
			t.Errorf("%d fetches, want %d", got, want)
		}
	}
	wantFetches(0)
	wantVerify(t, v, ecSigner.sign(t, `{}`), true)
	wantVerify(t, v, ecSigner.sign(t, `{}`), true)
	wantFetches(1)

	// Key ids that strangers make up cost one fetch a minute.
	for range 10 {
		wantVerify(t, v, otherSigner.sign(t, `{}`), false)
	}
	wantFetches(1)
	c.pass(61 * time.Second)
	for range 10 {
		wantVerify(t, v, otherSigner.sign(t, `{}`), false)
	}
	wantFetches(2)

	// A new key is found, and one that is gone counts no more.
	s.answer.Store(text(keySet(t, otherSigner)))
	c.pass(61 * time.Second)
	wantVerify(t, v, otherSigner.sign(t, `{}`), true)
	wantVerify(t, v, ecSigner.sign(t, `{}`), false)
	wantFetches(3)
	s.answer.Store(text(keySet(t, ecSigner)))
	c.pass(16 * time.Minute)
	wantVerify(t, v, otherSigner.sign(t, `{}`), false)
	wantVerify(t, v, ecSigner.sign(t, `{}`), true)
	wantFetches(4)

	// The server is away: what there is goes on, for a day.
	s.answer.Store(func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway) })
	c.pass(16 * time.Minute)
	wantVerify(t, v, ecSigner.sign(t, `{}`), true)
	wantVerify(t, v, ecSigner.sign(t, `{}`), true)
	wantFetches(5)
	c.pass(24 * time.Hour)
	wantVerify(t, v, ecSigner.sign(t, `{}`), false)
	s.answer.Store(text(keySet(t, ecSigner)))
	c.pass(61 * time.Second)
	wantVerify(t, v, ecSigner.sign(t, `{}`), true)
}

// TestOneFetchForAll has many logins at once, while the server thinks, and one
// of them that gives up.
func TestOneFetchForAll(t *testing.T) {
	asked, goOn := make(chan struct{}), make(chan struct{})
	set := keySet(t, ecSigner)
	s := serveKeys(t, httptest.NewServer, func(w http.ResponseWriter) {
		close(asked)
		<-goOn
		fmt.Fprint(w, set)
	})
	v := verifier(t, configure(t, map[string]any{"jwks_url": s.URL}), standing)
	token := ecSigner.sign(t, `{}`)
	ctx, cancel := context.WithCancel(t.Context())
	gaveUp := make(chan error)
	go func() { _, err := v.Verify(ctx, token); gaveUp <- err }()
	<-asked
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { wantVerify(t, v, token, true) })
	}
	cancel()
	if err := <-gaveUp; err == nil {
		t.Error("a login that was given up succeeded")
	}
	close(goOn)
	wg.Wait()
	if got := s.fetches.Load(); got != 1 {
		t.Errorf("%d fetches", got)
	}
}

func TestFetchOverTLS(t *testing.T) {
	s := serveKeys(t, httptest.NewTLSServer, text(keySet(t, ecSigner)))
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	root := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
	token := ecSigner.sign(t, `{}`)
	wantVerify(t, verifier(t, configure(t, map[string]any{"jwks_url": s.URL, "jwks_ca_pem": root}), standing), token, true)
	wantVerify(t, verifier(t, configure(t, map[string]any{"jwks_url": s.URL}), standing), token, false)
}

// TestFetchRefuses has servers that answer what they should not.
func TestFetchRefuses(t *testing.T) {
	inner := serveKeys(t, httptest.NewServer, text(keySet(t, ecSigner)))
	for name, answer := range map[string]func(http.ResponseWriter){
		"a redirect": func(w http.ResponseWriter) {
			w.Header().Set("Location", inner.URL)
			w.WriteHeader(http.StatusFound)
		},
		"no end":    text(`{"keys":[` + strings.Repeat(" ", 2<<20)),
		"no JSON":   text("<html>"),
		"no keys":   text(`{"keys":[]}`),
		"too many":  text(`{"keys":[` + strings.Repeat(`{},`, 100) + `{}]}`),
		"not found": func(w http.ResponseWriter) { w.WriteHeader(http.StatusNotFound) },
	} {
		t.Run(name, func(t *testing.T) {
			s := serveKeys(t, httptest.NewServer, answer)
			wantVerify(t, verifier(t, configure(t, map[string]any{"jwks_url": s.URL}), standing), ecSigner.sign(t, `{}`), false)
			if s.fetches.Load() != 1 || inner.fetches.Load() != 0 {
				t.Errorf("%d fetches, and %d behind the redirect", s.fetches.Load(), inner.fetches.Load())
			}
		})
	}
}

func TestDiscovery(t *testing.T) {
	mux := http.NewServeMux()
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	set := keySet(t, ecSigner)
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, set) })
	for name, c := range map[string]struct {
		says string // of itself, at /name
		iss  string
		want bool
	}{
		"good":           {`{"issuer":"$URL","jwks_uri":"$HOST/keys"}`, "$URL", true},
		"slash":          {`{"issuer":"$URL/","jwks_uri":"$HOST/keys"}`, "$URL/", true},
		"anotherissuer":  {`{"issuer":"https://evil.example","jwks_uri":"$HOST/keys"}`, "$URL", false},
		"anothersign":    {`{"issuer":"$URL","jwks_uri":"$HOST/keys"}`, "https://evil.example", false},
		"leaveshttps":    {`{"issuer":"$URL","jwks_uri":"http://a.example/keys"}`, "$URL", false},
		"noticehasfiles": {`{"issuer":"$URL","jwks_uri":"file:///etc/passwd"}`, "$URL", false},
	} {
		t.Run(name, func(t *testing.T) {
			fill := strings.NewReplacer("$URL", s.URL+"/"+name, "$HOST", s.URL)
			mux.HandleFunc("/"+name+"/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
				fill.WriteString(w, c.says)
			})
			v := verifier(t, configure(t, map[string]any{"oidc_discovery_url": s.URL + "/" + name}), standing)
			wantVerify(t, v, ecSigner.sign(t, fill.Replace(`{"iss":"`+c.iss+`"}`)), c.want)
		})
	}
}
