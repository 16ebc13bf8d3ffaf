package test

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/test/check"
	"github.com/hsmpki/hsmpki/test/daemon"
	"github.com/hsmpki/hsmpki/test/softhsm"
)

// onTCP starts a pair whose pkid listens on TCP too, without TLS, as relying
// parties fetch CRLs; url is where.
func onTCP(t *testing.T) (p *daemon.Pair, url string) {
	t.Helper()
	address := freePort(t)
	token := softhsm.New(t)
	h := daemon.NewHSMD(t, daemon.Libraries(token.Store)+daemon.WireKeys)
	h.Start()
	pkid := daemon.NewPKID(t, h, fmt.Sprintf(`listener "tcp" {
  address                          = %q
  tls_disable                      = true
  x_forwarded_for_authorized_addrs = "127.0.0.1"
}
`, address))
	pkid.Start()
	return &daemon.Pair{Token: token, HSMD: h, PKID: pkid}, "http://" + address
}

// kinds are CA keys by mechanism and size, and what their roots are made with.
var kinds = map[string]struct {
	key  map[string]any
	root map[string]any
}{
	"rsa":     {map[string]any{"mechanism": "0x0001", "key_bits": 2048}, map[string]any{"signature_bits": 384}},
	"pss":     {map[string]any{"mechanism": "0x000D", "key_bits": 2048}, map[string]any{"use_pss": true}},
	"p256":    {map[string]any{"mechanism": "0x1041", "curve": "P256"}, nil},
	"p384":    {map[string]any{"mechanism": "0x1041", "curve": "P384"}, nil},
	"ed25519": {map[string]any{"mechanism": "0x1057", "curve": "Ed25519"}, nil},
}

// TestRevocationLists has the CRLs of CAs with keys of each kind, complete and
// delta, fetched from a TCP listener and judged by OpenSSL and GnuTLS.
func TestRevocationLists(t *testing.T) {
	p, url := onTCP(t)
	for kind, with := range kinds {
		t.Run(kind, func(t *testing.T) {
			mount := kind + "/"
			key := definition(p, kind)
			delete(key, "curve")
			for name, value := range with.key {
				key[name] = value
			}
			p.PKID.Must(t, "POST", "sys/managed-keys/pkcs11/"+kind, key)
			p.PKID.Must(t, "POST", "sys/mounts/"+kind, map[string]any{"type": "pki", "config": map[string]any{"max_lease_ttl": "87600h"}})
			p.PKID.Must(t, "POST", mount+"config/urls", map[string]any{"crl_distribution_points": url + "/v1/" + mount + "crl",
				"delta_crl_distribution_points": url + "/v1/" + mount + "crl/delta"})
			root := map[string]any{"managed_key_name": kind, "common_name": "Root " + kind, "ttl": "8760h"}
			for name, value := range with.root {
				root[name] = value
			}
			dir := t.TempDir()
			write := func(name string, content []byte) string {
				path := filepath.Join(dir, name)
				if err := os.WriteFile(path, content, 0o600); err != nil {
					t.Fatal(err)
				}
				return path
			}
			rootFile := write("root.pem", []byte(p.PKID.Must(t, "POST", mount+"root/generate/kms", root).String(t, "certificate")))
			p.PKID.Must(t, "POST", mount+"roles/web", map[string]any{"allow_any_name": true, "key_type": "ec", "ttl": "24h", "use_pss": kind == "pss"})
			leaf := map[string]string{}
			revoke := func(name string) {
				p.PKID.Must(t, "POST", mount+"revoke", map[string]any{"certificate": leaf[name], "reason": "cessationOfOperation"})
			}
			for _, name := range []string{"early", "late", "never"} {
				leaf[name] = p.PKID.Must(t, "POST", mount+"issue/web", map[string]any{"common_name": name + ".example.com"}).String(t, "certificate")
				write(name+".pem", []byte(leaf[name]))
			}

			// Complete, as long as nothing rebuilds by itself.
			revoke("early")
			judge(t, dir, rootFile, fetch(t, url+"/v1/"+mount+"crl/pem"), "", map[string]bool{"early": true, "late": false, "never": false})

			// With delta lists.
			p.PKID.Must(t, "POST", mount+"config/crl", map[string]any{"auto_rebuild": true, "enable_delta": true})
			revoke("late")
			p.PKID.Must(t, "GET", mount+"crl/rotate-delta", nil)
			complete := fetch(t, url+"/v1/"+mount+"crl/pem")
			judge(t, dir, rootFile, complete, "", map[string]bool{"early": true, "late": false, "never": false})
			judge(t, dir, rootFile, complete, fetch(t, url+"/v1/"+mount+"crl/delta/pem"), map[string]bool{"early": true, "late": true, "never": false})

			// The next complete one has all.
			p.PKID.Must(t, "GET", mount+"crl/rotate", nil)
			judge(t, dir, rootFile, fetch(t, url+"/v1/"+mount+"crl/pem"), fetch(t, url+"/v1/"+mount+"crl/delta/pem"), map[string]bool{"early": true, "late": true, "never": false})
		})
	}
	check.CA(t, p)
}

// judge has OpenSSL and GnuTLS verify the lists, and OpenSSL the certificates
// with them.
func judge(t *testing.T, dir, rootFile, complete, delta string, revoked map[string]bool) {
	t.Helper()
	lists := filepath.Join(dir, "lists.pem")
	if err := os.WriteFile(lists, []byte(complete+"\n"+delta), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, list := range []string{complete, delta} {
		if list == "" {
			continue
		}
		one := filepath.Join(dir, "one.pem")
		if err := os.WriteFile(one, []byte(list), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("openssl", "crl", "-verify", "-noout", "-CAfile", rootFile, "-in", one).CombinedOutput(); err != nil || !strings.Contains(string(out), "verify OK") {
			t.Errorf("openssl crl: %v\n%s", err, out)
		}
		if out, err := exec.Command("certtool", "--verify-crl", "--load-ca-certificate", rootFile, "--infile", one).CombinedOutput(); err != nil || !strings.Contains(string(out), "Verified") {
			t.Errorf("certtool: %v\n%s", err, out)
		}
	}
	for name, want := range revoked {
		args := []string{"verify", "-x509_strict", "-crl_check_all", "-CAfile", rootFile, "-CRLfile", lists}
		if delta != "" {
			args = append(args, "-use_deltas", "-extended_crl")
		}
		out, err := exec.Command("openssl", append(args, filepath.Join(dir, name+".pem"))...).CombinedOutput()
		if got := err != nil && strings.Contains(string(out), "certificate revoked"); got != want || !want && err != nil {
			t.Errorf("%s: openssl verify (delta: %v): %v\n%s", name, delta != "", err, out)
		}
	}
}

// longList has a CRL signed that goes to hsmd in parts, and verifies it. The
// issuer's own CRLs lack its entries, so they end here; also is what they have.
func longList(t *testing.T, p *daemon.PKID, mount string, issuer *x509.Certificate, also ...string) {
	t.Helper()
	var revoked []map[string]any
	for i := range 3000 {
		revoked = append(revoked, map[string]any{"serial_number": fmt.Sprintf("%02x:%02x:%02x", 1+i>>16, i>>8&255, i&255), "revocation_time": time.Now().UTC().Format(time.RFC3339)})
	}
	for _, serial := range also {
		revoked = append(revoked, map[string]any{"serial_number": serial, "revocation_time": time.Now().UTC().Format(time.RFC3339)})
	}
	answer := p.Must(t, "POST", mount+"/issuer/default/sign-revocation-list", map[string]any{"crl_number": 7, "next_update": "72h", "format": "pem", "revoked_certs": revoked})
	block, _ := pem.Decode([]byte(answer.String(t, "crl")))
	if block == nil {
		t.Fatal("no CRL")
	}
	list, err := x509.ParseRevocationList(block.Bytes)
	if err == nil {
		err = list.CheckSignatureFrom(issuer)
	}
	if err != nil || len(list.RevokedCertificateEntries) != len(revoked) {
		t.Errorf("a long CRL: %v", err)
	}
}

func fetch(t *testing.T, url string) string {
	t.Helper()
	resp := get(t, url, nil)
	if resp.StatusCode != 200 {
		t.Fatalf("GET %s: %s", url, resp.Status)
	}
	return body(t, resp)
}

func get(t *testing.T, url string, header map[string]string) *http.Response {
	t.Helper()
	req, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func body(t *testing.T, resp *http.Response) string {
	t.Helper()
	octets, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(octets)
}

// TestRevocationListsOverHTTP: what a client has already is not sent again, a
// part of a list can be had, and all paths serve the same list.
func TestRevocationListsOverHTTP(t *testing.T) {
	p, url := onTCP(t)
	if resp := get(t, url+"/v1/pki/crl", nil); resp.StatusCode != 403 {
		t.Errorf("a mount that is not there: %s", resp.Status)
	}
	p.PKID.Must(t, "POST", "sys/mounts/pki", map[string]any{"type": "pki"})
	if resp := get(t, url+"/v1/pki/crl", nil); resp.StatusCode != 204 {
		t.Errorf("a mount without issuer: %s", resp.Status)
	}
	p.PKID.Must(t, "DELETE", "sys/mounts/pki", nil)
	ca(t, p)
	der := fetch(t, url+"/v1/pki/crl")
	list, err := x509.ParseRevocationList([]byte(der))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.TrimSpace(string(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: []byte(der)})))
	for path, want := range map[string]string{"cert/crl/raw": der, "issuer/default/crl/der": der, "crl/pem": text, "cert/crl/raw/pem": text, "issuer/default/crl/pem": text} {
		if got := fetch(t, url+"/v1/pki/"+path); got != want {
			t.Errorf("%s serves %.60q", path, got)
		}
	}
	for path, field := range map[string]string{"cert/crl": "certificate", "issuer/default/crl": "crl"} {
		if got := p.PKID.Must(t, "GET", "pki/"+path, nil).String(t, field); got != text {
			t.Errorf("%s serves %.60q", path, got)
		}
	}
	for _, path := range []string{"crl/delta", "crl/delta/pem", "cert/delta-crl/raw", "issuer/default/crl/delta/der", "cert/delta-crl", "issuer/default/crl/delta"} {
		if resp := get(t, url+"/v1/pki/"+path, nil); resp.StatusCode != 204 {
			t.Errorf("%s, which is not enabled: %s", path, resp.Status)
		}
	}
	resp := dated(t, url+"/v1/pki/crl")
	if resp := get(t, url+"/v1/pki/crl", map[string]string{"Range": "bytes=10-19"}); resp.StatusCode != 206 || body(t, resp) != der[10:20] {
		t.Errorf("a part of the list: %s", resp.Status)
	}
	serial := p.PKID.Must(t, "POST", "pki/issue/web", map[string]any{"common_name": "www.example.com"}).String(t, "serial_number")
	p.PKID.Must(t, "POST", "pki/revoke", map[string]any{"serial_number": serial})
	resp = get(t, url+"/v1/pki/crl", map[string]string{"If-Modified-Since": resp.Header.Get("Last-Modified")})
	next, err := x509.ParseRevocationList([]byte(body(t, resp)))
	if err != nil || next.Number.Cmp(list.Number) <= 0 || len(next.RevokedCertificateEntries) != 1 {
		t.Errorf("after a revocation: %s, %v", resp.Status, err)
	}
	for _, path := range []string{"crl/rotate", "crl/rotate-delta", "config/crl", "certs/revoked"} {
		if resp := get(t, url+"/v1/pki/"+path, nil); resp.StatusCode != 403 {
			t.Errorf("%s answers a stranger: %s", path, resp.Status)
		}
	}
	check.CA(t, p)
}

// TestUnchangedCertificates: who has a CA's certificate or chain is told that it
// is the same until the mount has changed.
func TestUnchangedCertificates(t *testing.T) {
	p, url := onTCP(t)
	ca(t, p)
	url += "/v1/pki/"
	paths := []string{"ca", "ca/pem", "ca_chain", "cert/ca/raw", "cert/ca/raw/pem", "issuer/default/der", "issuer/default/pem"}
	had := map[string]*http.Response{}
	for _, path := range paths {
		had[path] = dated(t, url+path)
	}
	define(t, p, "next")
	p.PKID.Must(t, "POST", "pki/issuers/generate/root/kms", map[string]any{"managed_key_name": "next", "common_name": "Next", "issuer_name": "next"})
	p.PKID.Must(t, "POST", "pki/root/replace", map[string]any{"default": "next"})
	for _, path := range paths {
		for _, header := range []map[string]string{{"If-Modified-Since": had[path].Header.Get("Last-Modified")}, {"If-None-Match": had[path].Header.Get("ETag")}} {
			resp := get(t, url+path, header)
			if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != had[path].Header.Get("Content-Type") || body(t, resp) == body(t, had[path]) {
				t.Errorf("%s of another default issuer, with %v: %s", path, header, resp.Status)
			}
		}
	}
}

// dated waits for the answer to have a date, which it has not within the second
// of a change, and sees that whoever has the answer is told so.
func dated(t *testing.T, url string) *http.Response {
	t.Helper()
	var resp *http.Response
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		if resp = get(t, url, nil); resp.Header.Get("Last-Modified") != "" || time.Now().After(end) {
			break
		}
	}
	for _, header := range []map[string]string{{"If-Modified-Since": resp.Header.Get("Last-Modified")}, {"If-None-Match": resp.Header.Get("ETag")}} {
		if resp := get(t, url, header); resp.StatusCode != 304 {
			t.Errorf("%s, with %v: %s", url, header, resp.Status)
		}
		if kept := resp.Header.Get("Cache-Control"); kept != "no-cache" {
			t.Errorf("%s: Cache-Control is %q, which keeps caches from asking", url, kept)
		}
	}
	return resp
}

// TestPKIDKilledRevoking kills pkid while certificates are revoked and CRLs
// made: what it had answered is on the next CRL, whose number is a new one.
func TestPKIDKilledRevoking(t *testing.T) {
	p := daemon.Start(t)
	ca(t, p)
	number := int64(0) // the greatest that was seen
	read := func() *x509.RevocationList {
		a, err := p.PKID.Request("GET", "pki/crl", nil)
		if err != nil || a.Status != 200 {
			return nil
		}
		list, err := x509.ParseRevocationList(a.Body)
		if err != nil {
			t.Error(err)
			return nil
		}
		return list
	}
	for range 3 {
		var serials []string
		for range 20 {
			serials = append(serials, p.PKID.Must(t, "POST", "pki/issue/web", map[string]any{"common_name": "www.example.com"}).String(t, "serial_number"))
		}
		answered, revoked, ended := make(chan struct{}), 0, make(chan struct{})
		go func() {
			defer close(ended)
			for _, serial := range serials {
				a, err := p.PKID.Request("POST", "pki/revoke", map[string]any{"serial_number": serial})
				if err != nil || a.Status != 200 {
					return // pkid is away
				}
				if list := read(); list != nil {
					number = list.Number.Int64()
				}
				if revoked++; revoked == 5 {
					close(answered)
				}
			}
		}()
		<-answered
		p.PKID.Kill9()
		<-ended
		p.PKID.Start()
		check.CA(t, p)
		p.PKID.Must(t, "GET", "pki/crl/rotate", nil)
		if list := read(); list == nil || list.Number.Int64() <= number {
			t.Errorf("after number %d: %v", number, list)
		}
	}
}
