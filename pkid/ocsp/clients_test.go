package ocsp_test

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/pkid/ocsp"
)

// serve has a responder listen on TCP, below the path /ocsp.
func serve(t *testing.T, a *authority, r *ocsp.Responder) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		der, err := io.ReadAll(req.Body)
		if req.Method == http.MethodGet {
			der, err = ocsp.DecodePath(strings.TrimPrefix(req.URL.EscapedPath(), "/ocsp/"))
		}
		if err != nil {
			der = nil
		}
		response := r.Respond(req.Context(), der, req.RemoteAddr)
		for name, values := range response.Header(req.Method == http.MethodGet, a.clock()) {
			w.Header()[name] = values
		}
		w.WriteHeader(response.HTTPStatus())
		w.Write(response.DER)
	}))
	t.Cleanup(server.Close)
	return server.URL + "/ocsp"
}

func write(t *testing.T, name string, cert *x509.Certificate) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Errorf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func has(t *testing.T, out string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(out, w) {
			t.Errorf("no %q in\n%s", w, out)
		}
	}
}

// clientKinds are a CA key of each kind.
var clientKinds = []struct {
	kind      string
	algorithm x509.SignatureAlgorithm
}{
	{"P-256", 0}, {"P-384", 0}, {"P-521", 0}, {"Ed25519", 0},
	{"RSA", x509.SHA256WithRSA}, {"RSA", x509.SHA512WithRSA}, {"RSA", x509.SHA256WithRSAPSS}, {"RSA", x509.SHA384WithRSAPSS},
}

func TestOpenSSL(t *testing.T) {
	for _, c := range clientKinds {
		t.Run(c.kind+" "+c.algorithm.String(), func(t *testing.T) {
			a := newAuthority(time.Now())
			i := a.issuer(t, "Root", c.kind, c.algorithm, year)
			leaf := a.leaf(t, i)
			a.status("Root", big.NewInt(0x1234), ocsp.Status{State: ocsp.Revoked, RevokedAt: a.now.Add(-time.Hour), Reason: 4})
			url, root, leafFile := serve(t, a, a.open(t)), write(t, "root.pem", i.Certificate), write(t, "leaf.pem", leaf)
			for _, byIssuer := range []bool{false, true} {
				a.set(func(v *ocsp.View) { v.ByIssuer = byIssuer })
				out := run(t, "openssl", "ocsp", "-url", url, "-CAfile", root, "-issuer", root, "-cert", leafFile,
					"-serial", "0x1234", "-serial", "0x77", "-resp_text")
				has(t, out, "Response verify OK", leafFile+": good", "0x1234: revoked", "Reason: superseded", "0x77: unknown", "OCSP Nonce")
				if delegated := strings.Contains(out, "OCSP No Check"); delegated == byIssuer {
					t.Errorf("by the issuer is %v, a responder's certificate there %v", byIssuer, delegated)
				}
				for _, hash := range []string{"-sha1", "-sha256", "-sha384", "-sha512"} {
					out := run(t, "openssl", "ocsp", "-url", url, "-CAfile", root, "-issuer", root, hash, "-cert", leafFile, "-no_nonce")
					has(t, out, "Response verify OK", ": good", "Next Update:")
				}
			}
		})
	}
}

func TestGnuTLS(t *testing.T) {
	for _, c := range clientKinds {
		t.Run(c.kind+" "+c.algorithm.String(), func(t *testing.T) {
			a := newAuthority(time.Now())
			i := a.issuer(t, "Root", c.kind, c.algorithm, year)
			leaf := a.leaf(t, i)
			url, root, leafFile := serve(t, a, a.open(t)), write(t, "root.pem", i.Certificate), write(t, "leaf.pem", leaf)
			for _, byIssuer := range []bool{false, true} {
				if byIssuer && c.algorithm == x509.SHA384WithRSAPSS {
					continue // GnuTLS 3.7 takes each PSS signature of OCSP for one with SHA-256
				}
				a.set(func(v *ocsp.View) { v.ByIssuer = byIssuer })
				a.status("Root", leaf.SerialNumber, ocsp.Status{State: ocsp.Good})
				ask := []string{"--ask=" + url, "--load-cert=" + leafFile, "--load-issuer=" + root, "--load-trust=" + root}
				has(t, run(t, "ocsptool", append(ask, "--nonce")...), "Certificate Status: good", "Success")
				a.status("Root", leaf.SerialNumber, ocsp.Status{State: ocsp.Revoked, RevokedAt: a.now, Reason: 1})
				has(t, run(t, "ocsptool", ask...), "Certificate Status: revoked", "Success")
			}
		})
	}
}

func TestGet(t *testing.T) {
	a := newAuthority(time.Now())
	i := a.issuer(t, "Root", "P-256", 0, year)
	leaf := a.leaf(t, i).SerialNumber
	address := serve(t, a, a.open(t))
	get := func(path string) (int, []byte, http.Header) {
		response, err := http.Get(address + "/" + path)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, body, response.Header
	}
	std := base64.StdEncoding.EncodeToString(about(t, i, leaf).der())
	first := []byte(nil)
	for _, path := range []string{url.QueryEscape(std), std, "/" + std} {
		status, body, header := get(path)
		parse(t, &ocsp.Response{DER: body}, leaf, i.Certificate)
		if status != http.StatusOK || header.Get("ETag") == "" || first != nil && string(first) != string(body) {
			t.Errorf("%s: %d, %v", path, status, header)
		}
		first = body
	}
	if status, body, _ := get("ME%21"); status != http.StatusBadRequest || string(body) != "\x30\x03\x0a\x01\x01" {
		t.Errorf("malformed: %d, %x", status, body)
	}
	foreign := newAuthority(time.Now()).issuer(t, "Root", "P-256", 0, year)
	if status, body, _ := get(base64.RawURLEncoding.EncodeToString(about(t, foreign, leaf).der())); status != http.StatusUnauthorized || string(body) != "\x30\x03\x0a\x01\x06" {
		t.Errorf("foreign: %d, %x", status, body)
	}
}
