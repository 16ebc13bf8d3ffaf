package api_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/config"
	"github.com/hsmpki/hsmpki/pkid/api"
	"github.com/hsmpki/hsmpki/pkid/auditlog"
	"github.com/hsmpki/hsmpki/pkid/auth"
	"github.com/hsmpki/hsmpki/pkid/hsm"
	"github.com/hsmpki/hsmpki/pkid/listen"
	"github.com/hsmpki/hsmpki/pkid/metrics"
	"github.com/hsmpki/hsmpki/pkid/mounts"
	"github.com/hsmpki/hsmpki/pkid/pending"
	"github.com/hsmpki/hsmpki/pkid/policy"
	"github.com/hsmpki/hsmpki/pkid/store/pebblestore"
	"github.com/hsmpki/hsmpki/pkid/token"
	"github.com/hsmpki/hsmpki/pkid/tracing"
	"github.com/hsmpki/hsmpki/pkid/wrapping"
	"github.com/hsmpki/hsmpki/test/daemon"
	"github.com/hsmpki/hsmpki/test/softhsm"
)

func TestMain(m *testing.M) { daemon.Main(m) }

// server is a handler behind its real listeners, with Pebble below it.
type server struct {
	handler *api.Handler
	hsmd    *daemon.HSMD
	token   *softhsm.Token
	peer    *http.Client // by the Unix socket, with the root policy
	tcp     string       // host:port, where everybody is a stranger
	audit   *auditlog.Log
}

// start has a real hsmd with an empty token behind it.
func start(t *testing.T) *server {
	t.Helper()
	token := softhsm.New(t)
	h := daemon.NewHSMD(t, daemon.Libraries(token.Store)+daemon.WireKeys+daemon.InternalKeys(token))
	h.Start()
	s := serve(t, h.Socket)
	s.hsmd, s.token = h, token
	return s
}

// serve runs a handler with an empty state, whose keys are at that socket.
func serve(t *testing.T, socket string) *server {
	t.Helper()
	return serveOn(t, socket, pebblestore.Config{Path: t.TempDir(), MinFree: -1})
}

// serveOn runs it on a state that may be there already.
func serveOn(t *testing.T, socket string, cfg pebblestore.Config) *server {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	state, err := pebblestore.Open(cfg)
	must(t, err)
	t.Cleanup(func() { state.Close() })
	keys, err := hsm.New(hsm.Config{Address: socket})
	must(t, err)
	t.Cleanup(func() { keys.Close() })
	table, err := mounts.Open(t.Context(), mounts.Settings{Store: state, Keys: keys, Now: time.Now, Log: log})
	must(t, err)
	t.Cleanup(table.Close)
	peers, err := listen.NewPeers(nil)
	must(t, err)
	policies, err := policy.Open(t.Context(), state)
	must(t, err)
	tokens, err := token.Open(t.Context(), token.Config{Store: state, Now: time.Now, Log: log})
	must(t, err)
	t.Cleanup(tokens.Close)
	logins, err := auth.Open(t.Context(), auth.Settings{Store: state, Tokens: tokens, Now: time.Now, Log: log, Revoked: table.Revoked})
	must(t, err)
	t.Cleanup(logins.Close)
	key, err := auditlog.Key(t.Context(), state)
	must(t, err)
	audit, err := auditlog.Open(auditlog.Config{Path: filepath.Join(t.TempDir(), "audit.log"), Key: key, Now: time.Now})
	must(t, err)
	t.Cleanup(func() { audit.Close() })
	wraps := &wrapping.Store{Store: state, Now: time.Now, Log: log}
	handler, err := api.New(api.Config{Mounts: table, Keys: keys, Policies: policies, Tokens: tokens, Auth: logins, Store: state, Wrapping: wraps, Pending: &pending.Table{Store: state, Now: time.Now},
		Metrics:  metrics.New(metrics.Config{Version: "test", Mounts: table, Storage: state, HSM: keys, Traces: &tracing.Counts{}, Now: time.Now}),
		Audit:    audit,
		Settings: api.Settings{Peers: peers}, StorageType: "pebble", Version: "test", Log: log})
	must(t, err)

	dir, err := os.MkdirTemp("", "api-") // short: the path of a socket has to be
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	unix := filepath.Join(dir, "s")
	listeners, err := listen.Open([]config.Listener{
		{Type: "unix", Address: unix, SocketMode: config.DefaultSocketMode},
		{Type: "tcp", Address: "127.0.0.1:0", TLSDisable: true},
	}, log)
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- listeners.Serve(ctx, handler, 10*time.Second) }()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", unix)
	}}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the listeners ended: %v", err)
		}
	})
	return &server{handler: handler, peer: &http.Client{Transport: transport}, tcp: listeners.Addrs()[1].String(), audit: audit}
}

// answer is what came back; Data, Errors and Warnings if it was JSON.
type answer struct {
	Status   int         `json:"-"`
	Header   http.Header `json:"-"`
	Body     string      `json:"-"`
	Data     map[string]any
	Auth     map[string]any
	Errors   []string
	Warnings []string
}

// says reports whether one of the errors, or of the warnings where there is
// none, has the words in it.
func (a *answer) says(words string) bool {
	texts := a.Errors
	if len(texts) == 0 {
		texts = a.Warnings
	}
	return strings.Contains(strings.Join(texts, "\n"), words)
}

// ask sends one request as the peer. Headers are name, value, name, value.
func (s *server) ask(t *testing.T, method, path, body string, headers ...string) *answer {
	t.Helper()
	return send(t, s.peer, "http://pkid/v1/", method, path, body, headers)
}

// askAsStranger sends it over TCP.
func (s *server) askAsStranger(t *testing.T, method, path, body string, headers ...string) *answer {
	t.Helper()
	return send(t, http.DefaultClient, "http://"+s.tcp+"/v1/", method, path, body, headers)
}

func send(t *testing.T, client *http.Client, base, method, path, body string, headers []string) *answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, base+path, strings.NewReader(body))
	must(t, err)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := client.Do(req)
	must(t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	must(t, err)
	a := &answer{Status: resp.StatusCode, Header: resp.Header, Body: string(raw)}
	if len(raw) > 0 && resp.Header.Get("Content-Type") == "application/json" {
		must(t, json.Unmarshal(raw, a))
	}
	return a
}

// do is ask for what has to succeed.
func (s *server) do(t *testing.T, method, path, body string) *answer {
	t.Helper()
	a := s.ask(t, method, path, body)
	if a.Status/100 != 2 {
		t.Fatalf("%s %s: %d %s", method, path, a.Status, a.Body)
	}
	return a
}

// ca sets up a CA in the mount "pki", with the role "web".
func (s *server) ca(t *testing.T) {
	t.Helper()
	s.do(t, "POST", "sys/mounts/pki", `{"type":"pki"}`)
	s.do(t, "POST", "pki/root/generate/internal", `{"common_name":"Root","key_type":"ec"}`)
	s.do(t, "POST", "pki/roles/web", `{"allowed_domains":"example.com","allow_subdomains":true,"key_type":"ec","max_ttl":"72h"}`)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
