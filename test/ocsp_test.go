package test

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ocsp"

	"github.com/hsmpki/hsmpki/test/daemon"
)

// ocspCA is a CA with a pkid that listens on TCP, where strangers ask.
type ocspCA struct {
	t        *testing.T
	p        *daemon.Pair
	url      string // of the responder
	root     *x509.Certificate
	rootFile string
	dir      string
}

func startOCSP(t *testing.T) *ocspCA {
	t.Helper()
	p, url := onTCP(t)
	ca(t, p)
	p.PKID.Must(t, "POST", "pki/roles/unstored", map[string]any{"allow_any_name": true, "key_type": "ec", "no_store": true})
	c := &ocspCA{t: t, p: p, url: url + "/v1/pki/ocsp", dir: t.TempDir()}
	pem := string(p.PKID.Must(t, "GET", "pki/ca/pem", nil).Body)
	c.root, c.rootFile = parse(t, pem), c.write("root.pem", pem)
	return c
}

func (c *ocspCA) write(name, text string) string {
	c.t.Helper()
	path := filepath.Join(c.dir, name)
	if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
		c.t.Fatal(err)
	}
	return path
}

// issue gives a certificate and the file that it is in.
func (c *ocspCA) issue(role, name string) (*x509.Certificate, string) {
	c.t.Helper()
	pem := c.p.PKID.Must(c.t, "POST", "pki/issue/"+role, map[string]any{"common_name": name, "ttl": "1h"}).String(c.t, "certificate")
	return parse(c.t, pem), c.write(name+".pem", pem)
}

// openssl asks as OpenSSL does, with a nonce, and verifies the answer.
func (c *ocspCA) openssl(args ...string) string {
	c.t.Helper()
	out, err := exec.Command("openssl", append([]string{"ocsp", "-url", c.url, "-CAfile", c.rootFile, "-issuer", c.rootFile}, args...)...).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Response verify OK") {
		c.t.Fatalf("openssl ocsp %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// send sends one HTTP request; an answer that is "successful" is verified.
func (c *ocspCA) send(method, path string, body []byte, header ...string) (status int, answer *ocsp.Response, raw []byte, h http.Header) {
	c.t.Helper()
	req, err := http.NewRequest(method, c.url+path, bytes.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	if raw, err = io.ReadAll(resp.Body); err != nil {
		c.t.Fatal(err)
	}
	if resp.StatusCode == http.StatusOK {
		if answer, err = ocsp.ParseResponse(raw, c.root); err != nil {
			c.t.Fatalf("%s %s: %v in %x", method, path, err, raw)
		}
	}
	return resp.StatusCode, answer, raw, resp.Header
}

func (c *ocspCA) query(cert, issuer *x509.Certificate) []byte {
	c.t.Helper()
	der, err := ocsp.CreateRequest(cert, issuer, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	return der
}

func TestOCSP(t *testing.T) {
	c := startOCSP(t)
	leaf, leafFile := c.issue("web", "a.example.com")
	_, unstored := c.issue("unstored", "b.example.com")
	out := c.openssl("-sha256", "-cert", leafFile, "-cert", unstored, "-serial", "0x77", "-resp_text")
	for _, want := range []string{leafFile + ": good", unstored + ": good", "0x77: unknown", "OCSP No Check", "OCSP Nonce"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}

	// By GET, whatever a client does to the base64, until the answer is known.
	query := c.query(leaf, c.root)
	std := base64.StdEncoding.EncodeToString(query)
	_, first, raw, header := c.send("GET", "/"+std, nil)
	for _, path := range []string{"/" + strings.NewReplacer("/", "%2F", "+", "%2B", "=", "%3D").Replace(std), "//" + std, "/" + base64.RawURLEncoding.EncodeToString(query)} {
		if status, _, again, _ := c.send("GET", path, nil); status != http.StatusOK || !bytes.Equal(again, raw) {
			t.Errorf("GET %s: %d, another answer", path, status)
		}
	}
	if first.Status != ocsp.Good || !strings.Contains(header.Get("Cache-Control"), "public") || header.Get("Content-Type") != "application/ocsp-response" {
		t.Errorf("%+v, %v", first, header)
	}
	if status, _, body, _ := c.send("GET", "/"+std, nil, "If-None-Match", header.Get("ETag")); status != http.StatusNotModified || len(body) > 0 {
		t.Errorf("asked for what it has: %d", status)
	}
	if status, _, _, header := c.send("POST", "", query, "Content-Type", "application/ocsp-request"); status != http.StatusOK || header.Get("Cache-Control") != "no-store" {
		t.Errorf("POST: %d, %v", status, header)
	}

	foreign := startForeign(t)
	for _, bad := range []struct {
		what, method, path string
		body               []byte
		status             int
		der                string
	}{
		{"a foreign issuer", "POST", "", c.query(leaf, foreign), http.StatusUnauthorized, "\x30\x03\x0a\x01\x06"},
		{"an empty body", "POST", "", nil, http.StatusBadRequest, "\x30\x03\x0a\x01\x01"},
		{"a large body", "POST", "", make([]byte, 1<<20), http.StatusBadRequest, "\x30\x03\x0a\x01\x01"},
		{"JSON", "POST", "", []byte(`{"a":1}`), http.StatusBadRequest, "\x30\x03\x0a\x01\x01"},
		{"no base64", "GET", "/..%2f..%2fca", nil, http.StatusBadRequest, "\x30\x03\x0a\x01\x01"},
	} {
		status, _, body, _ := c.send(bad.method, bad.path, bad.body)
		if status != bad.status || string(body) != bad.der {
			t.Errorf("%s: %d, %x", bad.what, status, body)
		}
	}
	if status, _, _, _ := c.send("GET", "", nil); status != http.StatusMethodNotAllowed {
		t.Errorf("GET without a query: %d", status)
	}
}

// TestOCSPBehindProxy: who asks too much through a proxy is refused, and others
// that come through it are not.
func TestOCSPBehindProxy(t *testing.T) {
	c := startOCSP(t)
	never := *c.root
	never.SerialNumber = big.NewInt(1)
	query := c.query(&never, c.root)
	from := func(sender string) int {
		status, _, _, _ := c.send("POST", "", query, "X-Forwarded-For", sender)
		return status
	}
	asked := 0
	for ; asked < 2000 && from("198.51.100.7") == http.StatusOK; asked++ {
	}
	if asked < 100 || asked == 2000 {
		t.Errorf("%d queries of one sender were answered", asked)
	}
	if status := from("192.0.2.1, 198.51.100.7"); status != http.StatusTooManyRequests {
		t.Errorf("the same, who claims to be a proxy: %d", status)
	}
	for _, other := range []string{"198.51.100.8", "2001:db8::1"} {
		if status := from(other); status != http.StatusOK {
			t.Errorf("%s: %d", other, status)
		}
	}
}

// startForeign gives a root of another CA.
func startForeign(t *testing.T) *x509.Certificate {
	t.Helper()
	p := daemon.Start(t)
	ca(t, p)
	return parse(t, string(p.PKID.Must(t, "GET", "pki/ca/pem", nil).Body))
}

// TestOCSPWithoutHSMD takes hsmd away and gives it back: what is kept is
// answered, nothing unsigned is, and the responder's key is another then.
func TestOCSPWithoutHSMD(t *testing.T) {
	c := startOCSP(t)
	leaf, leafFile := c.issue("web", "a.example.com")
	query := c.query(leaf, c.root)
	_, before, _, _ := c.send("POST", "", query)
	c.p.HSMD.Stop()
	if status, answer, _, _ := c.send("POST", "", query); status != http.StatusOK || answer.Status != ocsp.Good {
		t.Errorf("what is kept, while hsmd is away: %d", status)
	}
	other := *leaf
	other.SerialNumber = c.root.SerialNumber
	status, _, body, header := c.send("POST", "", c.query(&other, c.root))
	if status != http.StatusServiceUnavailable || string(body) != "\x30\x03\x0a\x01\x03" || header.Get("Retry-After") == "" {
		t.Errorf("what is to be signed, while hsmd is away: %d, %x, %v", status, body, header)
	}
	c.p.HSMD.Start()
	if out := c.openssl("-cert", leafFile); !strings.Contains(out, leafFile+": good") {
		t.Errorf("after a restart of hsmd:\n%s", out)
	}
	_, after, _, _ := c.send("POST", "", c.query(&other, c.root))
	if after.Certificate.Equal(before.Certificate) || bytes.Equal(after.Certificate.RawSubjectPublicKeyInfo, before.Certificate.RawSubjectPublicKeyInfo) {
		t.Error("the responder's key outlived hsmd")
	}
	for _, responder := range []*x509.Certificate{before.Certificate, after.Certificate} {
		c.p.PKID.Must(t, "GET", "pki/cert/"+strings.ReplaceAll(fmt.Sprintf("% x", responder.SerialNumber.Bytes()), " ", ":"), nil)
	}
	c.p.PKID.Restart()
	if out := c.openssl("-cert", leafFile); !strings.Contains(out, leafFile+": good") {
		t.Errorf("after a restart of pkid:\n%s", out)
	}
}
