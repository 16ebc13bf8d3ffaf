package test

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/test/check"
	"github.com/hsmpki/hsmpki/test/daemon"
)

// The tests of this file are what a stranger or a careless client sends pkid.

// TestPKIDBadBodies sends what cannot be read: an error of the 4xx kind that
// says what is wrong, and nothing stored.
func TestPKIDBadBodies(t *testing.T) {
	p := daemon.Start(t)
	ca(t, p)
	before := check.Certificates(t, p.PKID, "pki/")
	half := request(t, "www.example.com")
	half = half[:len(half)/2]
	tampered := decode(t, request(t, "www.example.com"))
	tampered[len(tampered)-1] ^= 1
	forged := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: tampered}))
	for _, c := range []struct {
		what, path string
		body       any
		status     int
		words      string
	}{
		{"half a JSON", "pki/issue/web", []byte(`{"common_name": "www.exam`), 400, "JSON"},
		{"no JSON", "pki/issue/web", []byte("common_name"), 400, "JSON"},
		{"a JSON list", "pki/issue/web", []byte(`[1, 2]`), 400, "JSON"},
		{"two JSON values", "pki/issue/web", []byte(`{} {}`), 400, "JSON"},
		{"deep JSON", "pki/issue/web", []byte(strings.Repeat(`{"a":`, 100_000)), 400, "JSON"},
		{"a wrong type", "pki/issue/web", map[string]any{"common_name": "www.example.com", "ttl": "soon"}, 400, "ttl"},
		{"no CSR", "pki/sign/web", map[string]any{"common_name": "www.example.com"}, 400, "csr"},
		{"a CSR that is no PEM", "pki/sign/web", map[string]any{"csr": "MIIB", "common_name": "www.example.com"}, 400, ""},
		{"half a CSR", "pki/sign/web", map[string]any{"csr": half, "common_name": "www.example.com"}, 400, ""},
		{"a CSR with a forged signature", "pki/sign/web", map[string]any{"csr": forged, "common_name": "www.example.com"}, 400, "signature"},
		{"a name outside the role", "pki/issue/web", map[string]any{"common_name": "www.example.org"}, 400, "not allowed by this role"},
		{"a name with a NUL", "pki/issue/web", map[string]any{"common_name": "www\x00.example.com"}, 400, ""},
		{"an unknown role", "pki/issue/none", map[string]any{"common_name": "www.example.com"}, 400, "unknown role: none"},
		{"exported", "pki/root/generate/exported", map[string]any{"common_name": "R"}, 400, ""},
	} {
		t.Run(c.what, func(t *testing.T) { p.PKID.Refused(t, "POST", c.path, c.body, c.status, c.words) })
	}
	if after := check.Certificates(t, p.PKID, "pki/"); after != before {
		t.Errorf("%d certificates, %d before", after, before)
	}
	check.CA(t, p)
}

// TestPKIDOversized sends a body of 64 MiB: refused before it is in memory.
func TestPKIDOversized(t *testing.T) {
	p := daemon.Start(t)
	a, err := p.PKID.Request("POST", "sys/mounts/x", append([]byte(`{"description": "`), bytes.Repeat([]byte("x"), 64<<20)...))
	// A server may also hang up on whoever goes on sending.
	if err == nil && a.Status != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d: %.200s", a.Status, a.Body)
	}
	p.PKID.Must(t, "GET", "sys/mounts", nil)
}

// TestPKIDGarbage sends what is no HTTP, half a request and nothing at all.
func TestPKIDGarbage(t *testing.T) {
	t.Parallel()
	p := daemon.Start(t)
	for what, octets := range map[string]string{
		"octets":            "\x00\x01\x02\x03\xff\xfe\r\n\r\n",
		"TLS":               "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		"an endless header": "GET /v1/sys/health HTTP/1.1\r\nX: " + strings.Repeat("x", 2<<20),
		"half a request":    "POST /v1/sys/mounts/x HTTP/1.1\r\nHost: x\r\nContent-Le",
		"path tricks":       "GET /v1/../../etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
		"silence":           "",
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			conn := dial(t, p.PKID.Socket)
			conn.SetDeadline(time.Now().Add(90 * time.Second))
			io.WriteString(conn, octets)
			got, err := io.ReadAll(conn)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the connection is still open after 90 s")
			}
			if len(got) > 0 {
				resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(got)), nil)
				if err != nil || resp.StatusCode < 400 || resp.StatusCode >= 500 {
					t.Errorf("answered %.100q (%v)", got, err)
				}
			}
			p.PKID.Must(t, "GET", "sys/health", nil)
		})
	}
}

// TestPKIDStranger comes over TCP without a token: he may read what relying
// parties need, and nothing else.
func TestPKIDStranger(t *testing.T) {
	p := daemon.Start(t)
	ca(t, p)
	address := freePort(t)
	tcp := daemon.NewPKID(t, p.HSMD, fmt.Sprintf("listener \"tcp\" {\n  address = %q\n  tls_disable = true\n}\n", address))
	p.PKID.Stop()
	tcp.OnStateOf(t, p.PKID)
	tcp.Start()
	serial := tcp.Must(t, "LIST", "pki/certs", nil).Data["keys"].([]any)[0].(string)
	status := func(method, path, token string) int {
		t.Helper()
		req, err := http.NewRequest(method, "http://"+address+"/v1/"+path, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			req.Header.Set("X-Vault-Token", token)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	for _, path := range []string{"sys/health", "sys/seal-status", "pki/ca", "pki/ca/pem", "pki/ca_chain", "pki/crl", "pki/crl/pem", "pki/cert/ca", "pki/cert/" + serial} {
		if got := status("GET", path, ""); got != 200 {
			t.Errorf("GET %s: %d, want 200", path, got)
		}
	}
	for _, c := range [][2]string{{"GET", "sys/mounts"}, {"POST", "sys/mounts/x"}, {"DELETE", "sys/mounts/pki"}, {"LIST", "pki/certs"}, {"LIST", "pki/roles"},
		{"GET", "pki/roles/web"}, {"POST", "pki/roles/web"}, {"POST", "pki/issue/web"}, {"POST", "pki/sign/web"}, {"POST", "pki/root/generate/internal"},
		{"LIST", "sys/managed-keys/pkcs11"}, {"GET", "sys/managed-keys/pkcs11/ca"}, {"DELETE", "sys/managed-keys/pkcs11/ca"}, {"POST", "sys/managed-keys/pkcs11/ca/test/sign"}} {
		for _, token := range []string{"", "hvs.guessed", "root"} {
			if got := status(c[0], c[1], token); got != 403 {
				t.Errorf("%s %s with token %q: %d, want 403", c[0], c[1], token, got)
			}
		}
	}
}

// TestPKIDUnknownPeer comes over the Unix socket as a user that no peer block
// names, and may do no more than a stranger.
func TestPKIDUnknownPeer(t *testing.T) {
	p := daemon.Start(t)
	p.PKID.Stop()
	other := daemon.NewPKID(t, p.HSMD, "peer \"someone\" {\n  user = 4294967\n  policies = [\"root\"]\n}\n")
	other.Start()
	other.Must(t, "GET", "sys/health", nil)
	other.Refused(t, "GET", "sys/mounts", nil, 403, "permission denied")
	other.Refused(t, "POST", "sys/mounts/pki", map[string]any{"type": "pki"}, 403, "permission denied")
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// dialAs connects to a Unix socket as another user, if the test is root's; as
// itself otherwise. Credentials are taken at connect, of the thread that calls.
func dialAs(t *testing.T, uid int, socket string) (net.Conn, error) {
	t.Helper()
	if os.Getuid() != 0 {
		return net.Dial("unix", socket)
	}
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), socket)
	defer file.Close()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	seteuid := func(uid int) {
		if _, _, e := syscall.RawSyscall(syscall.SYS_SETRESUID, ^uintptr(0), uintptr(uid), ^uintptr(0)); e != 0 {
			t.Fatalf("setresuid: %v", e)
		}
	}
	seteuid(uid)
	err = syscall.Connect(fd, &syscall.SockaddrUnix{Name: socket})
	seteuid(0)
	if err != nil {
		return nil, err
	}
	return net.FileConn(file)
}

func decode(t testing.TB, text string) []byte {
	t.Helper()
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		t.Fatalf("no PEM: %q", text)
	}
	return block.Bytes
}

func serial(t testing.TB) *big.Int {
	t.Helper()
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 158))
	if err != nil {
		t.Fatal(err)
	}
	return n
}
