package api_test

import (
	"context"
	"fmt"
	"maps"
	"math"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/pkid/store/pebblestore"
	"github.com/hsmpki/hsmpki/test/daemon"
	"github.com/hsmpki/hsmpki/test/faultmodule"
	"github.com/hsmpki/hsmpki/test/softhsm"
	"github.com/hsmpki/hsmpki/wire"
)

// refusing answers every question of the wire with one error.
type refusing struct {
	wire.Service
	err *wire.Error
}

func (r *refusing) Describe(context.Context, *wire.DescribeRequest) (*wire.DescribeResponse, error) {
	return nil, r.err
}

func (r *refusing) Configure(context.Context, *wire.ConfigureRequest) (*wire.ConfigureResponse, error) {
	return nil, r.err
}

func (r *refusing) Generate(context.Context, *wire.GenerateRequest) (*wire.GenerateResponse, error) {
	return nil, r.err
}

// listenWith serves it at a socket, one connection after another.
func listenWith(t *testing.T, svc wire.Service) (socket string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "api-")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket = filepath.Join(dir, "s")
	l, err := net.Listen("unix", socket)
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = wire.Serve(ctx, conn, svc, wire.ServeConfig{DrainTimeout: time.Second})
		}
	}()
	t.Cleanup(func() { cancel(); l.Close(); <-ended })
	return socket
}

// TestErrorsOfHSMD: each code of the wire has its status, says why, and when to
// try again where that can help.
func TestErrorsOfHSMD(t *testing.T) {
	for _, c := range []struct {
		err        *wire.Error
		status     int
		says       string
		retryAfter string
	}{
		{&wire.Error{Code: wire.UnknownKey, Message: "there is no key"}, 400, "there is no key", ""},
		{&wire.Error{Code: wire.Invalid, Message: "no such library"}, 400, "no such library", ""},
		{&wire.Error{Code: wire.Denied, Message: "the grant says no"}, 400, "the grant says no", ""},
		{&wire.Error{Code: wire.KeyChanged, Message: "another key"}, 500, "another key", ""},
		{&wire.Error{Code: wire.Pending, Message: "waits"}, 202, "waits", "1"},
		{&wire.Error{Code: wire.Busy, Message: "queue full", RetryAfter: 1500 * time.Millisecond}, 429, "queue full", "2"},
		{&wire.Error{Code: wire.Busy, Message: "queue full"}, 429, "queue full", "1"},
		{&wire.Error{Code: wire.Unavailable, Message: "the token is gone", RetryAfter: 5 * time.Second}, 503, "the token is gone", "5"},
		{&wire.Error{Code: wire.LoginRefused, Message: "the token refused the PIN of key k"}, 400, "PIN", ""},
		{&wire.Error{Code: wire.Internal, Message: "CKR_GENERAL_ERROR (0x5)"}, 500, "CKR_GENERAL_ERROR (0x5)", ""},
	} {
		t.Run(c.err.Code.String(), func(t *testing.T) {
			s := serve(t, listenWith(t, &refusing{err: c.err}))
			s.do(t, "POST", "sys/mounts/pki", `{"type":"pki"}`)
			for _, ask := range [][2]string{
				{"sys/managed-keys/pkcs11/k", `{"library":"l","slot":1,"key_label":"k","mechanism":"0x1041"}`},
				{"pki/root/generate/internal", `{"common_name":"R","key_type":"ec"}`},
				{"pki/root/generate/kms", `{"common_name":"R","managed_key_name":"k"}`},
			} {
				got := s.ask(t, "POST", ask[0], ask[1])
				if got.Status != c.status || !got.says(c.says) || got.Header.Get("Retry-After") != c.retryAfter {
					t.Errorf("POST %s: %d, Retry-After %q, %s; want %d, %q, %q", ask[0], got.Status, got.Header.Get("Retry-After"), got.Body, c.status, c.retryAfter, c.says)
				}
			}
			if c.err.Code == wire.UnknownKey {
				if got := s.ask(t, "GET", "sys/managed-keys/pkcs11/k", ""); got.Status != 404 || len(got.Errors) != 0 {
					t.Errorf("reading a definition that is not there: %d %s", got.Status, got.Body)
				}
			}
			if got := s.ask(t, "LIST", "pki/issuers", ""); got.Status != 404 {
				t.Errorf("something was stored: %d %s", got.Status, got.Body)
			}
		})
	}
}

// TestHSMDNowhere asks while there is no hsmd at all: what needs it is 503 with
// a time, and all else is served.
func TestHSMDNowhere(t *testing.T) {
	s := serve(t, noHSM)
	s.do(t, "POST", "sys/mounts/pki", `{"type":"pki"}`)
	s.do(t, "POST", "pki/roles/web", `{"allow_any_name":true}`)
	if got := s.ask(t, "POST", "pki/root/generate/internal", `{"common_name":"R"}`); got.Status != 503 || got.Header.Get("Retry-After") == "" || !got.says("/nowhere/hsmd.sock") {
		t.Errorf("a root: %d, Retry-After %q, %s", got.Status, got.Header.Get("Retry-After"), got.Body)
	}
	for path, status := range map[string]int{"pki/ca": 204, "pki/ca/pem": 204, "pki/ca_chain": 204, "pki/crl": 204, "pki/cert/ca": 400, "pki/issuer/default": 400, "pki/issuers?list=true": 404, "pki/certs?list=true": 404, "pki/keys?list=true": 404} {
		if got := s.ask(t, "GET", path, ""); got.Status != status {
			t.Errorf("GET %s of a mount without a CA: %d %s, want %d", path, got.Status, got.Body, status)
		}
	}
	for _, path := range []string{"pki/issue/web", "pki/sign-verbatim"} {
		got := s.ask(t, "POST", path, `{"common_name":"a.example.com","csr":`+csr+`}`)
		if got.Status != 400 || !got.says("no default issuer") {
			t.Errorf("%s without an issuer: %d %s", path, got.Status, got.Body)
		}
	}
	if got := s.ask(t, "POST", "pki/sign/none", `{"csr":`+csr+`}`); got.Status != 400 || !got.says("unknown role: none") {
		t.Errorf("an unknown role: %d %s", got.Status, got.Body)
	}
}

// TestFullDisk: what would be stored is 503 with a time, nothing is stored, the
// HSM is not asked, and all else is served.
func TestFullDisk(t *testing.T) {
	token := softhsm.New(t)
	m := faultmodule.New(t, token.Library) // counts calls
	env := maps.Clone(m.Env)
	env["SOFTHSM2_CONF"] = token.Conf
	h := daemon.NewHSMD(t, daemon.Library("softhsm", m.Library, env)+daemon.WireKeys+daemon.InternalKeys(token))
	h.Start()
	cfg := pebblestore.Config{Path: t.TempDir(), MinFree: -1}
	t.Run("before", func(t *testing.T) { serveOn(t, h.Socket, cfg).ca(t) })
	cfg.MinFree = math.MaxInt64 // more than any disk has
	s := serveOn(t, h.Socket, cfg)
	before := fmt.Sprint(s.do(t, "LIST", "pki/certs", "").Data)
	root := `{"common_name":"R","key_type":"ec"}`
	asked := func() int {
		return m.Calls(t, "C_Sign") + m.Calls(t, "C_SignUpdate") + m.Calls(t, "C_GenerateKeyPair")
	}
	askedBefore := asked()
	for path, body := range map[string]string{
		"pki/issue/web": `{"common_name":"a.example.com"}`, "pki/roles/other": "{}", "pki/config/urls": `{"ocsp_servers":[]}`,
		"pki/root/generate/internal": root, "pki/intermediate/generate/internal": root, "pki/keys/generate/internal": `{"key_type":"ec"}`,
		"pki/sign/web": `{"csr":` + csr + `}`, "pki/sign-verbatim": `{"ttl":"1h","csr":` + csr + `}`, "pki/root/sign-intermediate": `{"common_name":"I","csr":` + csr + `}`,
		"sys/mounts/other": `{"type":"pki"}`, "sys/mounts/pki/tune": `{"description":"x"}`,
	} {
		got := s.ask(t, "POST", path, body)
		if got.Status != 503 || got.Header.Get("Retry-After") == "" || !got.says("disk") {
			t.Errorf("POST %s: %d, Retry-After %q, %s", path, got.Status, got.Header.Get("Retry-After"), got.Body)
		}
	}
	if n := asked() - askedBefore; n != 0 {
		t.Errorf("the HSM was asked %d times for what could not be stored", n)
	}
	if after := fmt.Sprint(s.do(t, "LIST", "pki/certs", "").Data); after != before {
		t.Errorf("the certificates were %s and are %s", before, after)
	}
	s.do(t, "GET", "pki/crl", "")
	if got := s.ask(t, "GET", "pki/roles/other", ""); got.Status != 404 {
		t.Errorf("a role that could not be stored: %d", got.Status)
	}
}

// csr is a request for www.example.com, as a JSON text.
var csr = `"` + strings.ReplaceAll(`-----BEGIN CERTIFICATE REQUEST-----
MIHUMHwCAQAwGjEYMBYGA1UEAwwPd3d3LmV4YW1wbGUuY29tMFkwEwYHKoZIzj0C
AQYIKoZIzj0DAQcDQgAEgJ/725BmDIwTFnAbsGrSFID+WrNqKON8bOXEDMq2Gg7i
rzAWth/UcuyGTWuBAL37UduiK3F/CHUKUgfehc04wKAAMAoGCCqGSM49BAMCA0gA
MEUCIQC//kKeYOZ3B8pMQ72mvUr+r+CRqxbHrRlGKk2eILckigIgHyGUEP7sRUi1
pYKZqSHX3TpD26ulm8ebGnRlQSsZ5QM=
-----END CERTIFICATE REQUEST-----`, "\n", `\n`) + `"`
