package api_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// TestPaths sends paths that are not clean, not there, or another to somebody
// else on the way.
func TestPaths(t *testing.T) {
	s := start(t)
	s.ca(t)
	s.do(t, "POST", "sys/mounts/team/a/pki", `{"type":"pki"}`)
	for _, c := range []struct {
		path   string
		status int
		says   string
	}{
		{"pki/ca/pem", 200, ""},
		{"pki/ca/pem/", 200, ""},
		{"/pki//ca///pem", 200, ""},
		{"sys/mounts/", 200, ""},
		{"team/a/pki/ca/pem", 204, ""},
		{"pki/roles/w%65b", 200, ""},
		{"pki/../sys/mounts", 400, "relative"},
		{"pki/%2e%2e/sys/mounts", 400, "relative"},
		{"pki/./ca", 400, "relative"},
		{"sys%2Fmounts", 400, "encoded slash"},
		{"sys%5cmounts", 400, "encoded slash"},
		{"sys/mounts%00", 400, "octets"},
		{"sys/mounts%0a", 400, "octets"},
		{"sys/mounts/%ff", 400, "octets"},
		{"sys/mounts/" + strings.Repeat("a", 5000), 414, "4096"},
		{"", 404, "no handler for route"},
		{"pki", 404, "unsupported path"},
		{"pki/nonsense", 404, "unsupported path"},
		{"pki/ca/pem/more", 404, "unsupported path"},
		{"pkix/ca", 404, `no handler for route "pkix/ca"`},
		{"team/a", 404, "no handler for route"},
		{"cubbyhole/x", 404, "unsupported path"},
		{"sys/nonsense", 404, "unsupported path"},
		{"auth/nonsense/login", 404, ""},
		{"pki/revoked", 404, "unsupported path"},
	} {
		got := s.ask(t, "GET", c.path, "")
		if got.Status != c.status || !got.says(c.says) {
			t.Errorf("GET %.60s: %d %.200s, want %d with %q", c.path, got.Status, got.Body, c.status, c.says)
		}
		kept := "no-store"
		if c.status == 200 && strings.HasSuffix(strings.Trim(c.path, "/"), "pem") {
			kept = "no-cache" // it has an ETag to be asked about with
		}
		if got.Header.Get("Cache-Control") != kept {
			t.Errorf("GET %.60s: Cache-Control is %q, want %q", c.path, got.Header.Get("Cache-Control"), kept)
		}
	}
	// Outside of /v1/, and as no client of Go's would send it.
	for _, line := range []string{"GET / HTTP/1.1", "GET /v1 HTTP/1.1", "GET /v2/sys/health HTTP/1.1", "GET /x/../v1/sys/health HTTP/1.1", "GET //v1/sys/health HTTP/1.1", "GET * HTTP/1.1", "CONNECT x:1 HTTP/1.1"} {
		if got := s.raw(t, line+"\r\nHost: x\r\nConnection: close\r\n\r\n"); got != 404 && got != 400 && got != 405 {
			t.Errorf("%s: %d", line, got)
		}
	}
}

// TestSmuggling sends what two servers in a row could read as different
// requests: none of it is served.
func TestSmuggling(t *testing.T) {
	s := start(t)
	for what, text := range map[string]string{
		"two lengths":                "POST /v1/sys/health HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
		"an unknown coding":          "POST /v1/sys/health HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
		"a length with a sign":       "POST /v1/sys/health HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\nhello",
		"a blank before the colon":   "GET /v1/sys/health HTTP/1.1\r\nHost : x\r\n\r\n",
		"a folded header":            "GET /v1/sys/health HTTP/1.1\r\nHost: x\r\n folded: y\r\n\r\n",
		"two hosts":                  "GET /v1/sys/health HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
		"no host":                    "GET /v1/sys/health HTTP/1.1\r\n\r\n",
		"a chunk's length too large": "POST /v1/sys/health HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\nx",
	} {
		if got := s.raw(t, text); got != 400 && got != 405 && got != 501 {
			t.Errorf("%s: %d", what, got)
		}
	}
}

// raw sends octets over TCP and gives the first answer's status.
func (s *server) raw(t *testing.T, octets string) int {
	t.Helper()
	conn, err := net.Dial("tcp", s.tcp)
	must(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, octets)
	must(t, err)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	must(t, err)
	resp.Body.Close()
	return resp.StatusCode
}

// TestVerbs: what each verb is, and that others are refused.
func TestVerbs(t *testing.T) {
	s := start(t)
	s.ca(t)
	merge := []string{"Content-Type", "application/merge-patch+json; charset=utf-8"}
	for _, c := range []struct {
		method, path, body string
		headers            []string
		status             int
		says               string
	}{
		{"GET", "pki/roles/web", "", nil, 200, ""},
		{"HEAD", "pki/roles/web", "", nil, 200, ""},
		{"LIST", "pki/roles", "", nil, 200, ""},
		{"LIST", "pki/roles/", "", nil, 200, ""},
		{"GET", "pki/roles?list=true", "", nil, 200, ""},
		{"GET", "pki/roles?list=1", "", nil, 200, ""},
		{"GET", "pki/roles/web?list=false", "", nil, 200, ""},
		{"GET", "pki/roles?list=perhaps", "", nil, 400, "list"},
		{"PUT", "pki/issue/web", `{"common_name":"a.example.com"}`, nil, 200, ""},
		{"POST", "pki/issue/web", `{"common_name":"a.example.com"}`, nil, 200, ""},
		{"PATCH", "pki/roles/web", `{"max_ttl":"10h"}`, merge, 200, ""},
		{"PATCH", "pki/roles/web", `{"max_ttl":"10h"}`, nil, 415, "merge-patch"},
		{"PATCH", "pki/roles/web", `{"max_ttl":"10h"}`, []string{"Content-Type", "application/json"}, 415, "merge-patch"},
		{"PATCH", "pki/roles/none", `{}`, merge, 400, "Unable to fetch role entry to patch"},
		{"DELETE", "pki/roles/none", "", nil, 204, ""},
		{"DELETE", "pki/issue/web", "", nil, 405, "unsupported operation"},
		{"LIST", "pki/ca", "", nil, 405, "unsupported operation"},
		{"POST", "pki/ca", "{}", nil, 405, "unsupported operation"},
		{"OPTIONS", "pki/ca", "", nil, 405, "OPTIONS"},
		{"TRACE", "pki/ca", "", nil, 405, "TRACE"},
		{"get", "pki/ca", "", nil, 405, "get"},
		{"GET", "pki/roles?help=1", "", nil, 200, ""},
		{"GET", "pki/ca", "", []string{"X-Vault-Namespace", "root/"}, 200, ""},
		{"GET", "pki/ca", "", []string{"X-Vault-Namespace", "team"}, 400, `namespace "team"`},
		{"GET", "pki/ca", "", []string{"X-Vault-Wrap-TTL", "60s"}, 400, "wrapped"},
		{"GET", "pki/ca", "", []string{"X-HTTP-Method-Override", "DELETE"}, 200, ""},
	} {
		got := s.ask(t, c.method, c.path, c.body, c.headers...)
		if got.Status != c.status || !got.says(c.says) {
			t.Errorf("%s %s %v: %d %.200s, want %d with %q", c.method, c.path, c.headers, got.Status, got.Body, c.status, c.says)
		}
	}
}

// TestEnvelope: who answers with what around the data.
func TestEnvelope(t *testing.T) {
	s := start(t)
	s.ca(t)
	for _, c := range []struct {
		path, contentType string
		has, hasNot       []string
	}{
		{"pki/roles/web", "application/json", []string{`"request_id":"`, `"lease_id":""`, `"renewable":false`, `"lease_duration":0`, `"data":{`, `"wrap_info":null`, `"warnings":null`, `"auth":null`, `"mount_type":"pki"`}, nil},
		{"sys/mounts", "application/json", []string{`"data":{`, `"request_id":"`, `"pki/":{`}, nil},
		{"sys/health", "application/json", []string{`"initialized":true`, `"sealed":false`}, []string{"request_id"}},
		{"sys/seal-status", "application/json", []string{`"version":"1.`, `"storage_type":"pebble"`}, []string{"request_id"}},
		{"pki/ca", "application/pkix-cert", nil, nil},
		{"pki/ca/pem", "application/pem-certificate-chain", []string{"-----BEGIN CERTIFICATE-----"}, nil},
		{"pki/ca_chain", "application/pkix-cert", []string{"-----BEGIN CERTIFICATE-----"}, nil},
		{"pki/crl", "application/pkix-crl", nil, nil},
		{"pki/crl/pem", "application/x-pem-file", []string{"-----BEGIN X509 CRL-----"}, nil},
	} {
		got := s.do(t, "GET", c.path, "")
		if got.Header.Get("Content-Type") != c.contentType {
			t.Errorf("%s: Content-Type %q, want %q", c.path, got.Header.Get("Content-Type"), c.contentType)
		}
		for _, text := range c.has {
			if !strings.Contains(got.Body, text) {
				t.Errorf("%s: no %s in %.300s", c.path, text, got.Body)
			}
		}
		for _, text := range c.hasNot {
			if strings.Contains(got.Body, text) {
				t.Errorf("%s: %s in %.300s", c.path, text, got.Body)
			}
		}
		if length := got.Header.Get("Content-Length"); length != fmt.Sprint(len(got.Body)) {
			t.Errorf("%s: Content-Length %s of %d", c.path, length, len(got.Body))
		}
	}
	// The id of the cluster is one, and stays.
	id := clusterID(t, s)
	if len(id) != 36 || clusterID(t, s) != id {
		t.Errorf("cluster_id is %q, then %q", id, clusterID(t, s))
	}
}

func clusterID(t *testing.T, s *server) string {
	t.Helper()
	_, rest, _ := strings.Cut(s.do(t, "GET", "sys/health", "").Body, `"cluster_id":"`)
	id, _, _ := strings.Cut(rest, `"`)
	return id
}
