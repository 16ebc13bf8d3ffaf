package bench_test

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/test/daemon"
	"github.com/hsmpki/hsmpki/test/softhsm"
)

// peer is what the best peer does at these callers, from the figures of others
// that are measured on a machine of this kind, its CA key in its own memory:
// certificates a second, stored and synced, and CPU a certificate.
var peer = map[int]struct{ perSecond, cpuMicros, goal float64 }{
	1: {355, 2158, 2}, 8: {735, 1909, 3}, 32: {1009, 1277, 3},
}

// BenchmarkIssuing makes certificates through pkid's API on its Unix socket: a
// P-256 CA key in SoftHSM, P-256 leaves, stored and synced on a real disk.
func BenchmarkIssuing(b *testing.B) {
	token := softhsm.New(b)
	h := quietHSMD(b, token, managed(token, "ca", `mechanism = "0x1041"`, `curve = "P256"`))
	p := daemon.NewPKID(b, h, "")
	p.Quiet(b)
	p.Start()
	p.Must(b, "POST", "sys/mounts/pki", map[string]any{"type": "pki", "config": map[string]any{"max_lease_ttl": "87600h"}})
	p.Must(b, "POST", "pki/root/generate/kms", map[string]any{"managed_key_name": "ca", "common_name": "Bench Root", "ttl": "87600h"})
	p.Must(b, "POST", "pki/roles/web", map[string]any{"allowed_domains": "example.com", "allow_subdomains": true, "key_type": "ec", "ttl": "72h"})
	watched := processes{"pkid": {p.PID()}, "hsmd": append(h.WorkerPIDs(), h.PID())}

	fmt.Printf("\n%s\n\n| | callers | certificates/s | best peer | ratio (goal) | p50 ms | p99 ms | CPU µs each: pkid | hsmd + worker | both (best peer) | MiB: pkid | hsmd + worker |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n", machine())
	for _, act := range []struct{ name, body string }{{"sign", signBody(b)}, {"issue", `{"common_name":"www.example.com"}`}} {
		for _, callers := range []int{1, 8, 32} {
			var runs []run
			var all []*caller
			for range callers {
				all = append(all, newCaller(b, p, "pki/"+act.name+"/web", act.body))
			}
			for range rounds {
				runs = append(runs, load(b, callers, roundTime, watched, func(n int) error { return all[n].post() }))
			}
			r, best := median(runs), peer[callers]
			fmt.Printf("| %s | %d | %.0f | %.0f | %.1f (%.0f) | %.1f | %.1f | %d | %d | %d (%.0f) | %.0f | %.0f |\n", act.name, callers, r.perSecond(), best.perSecond,
				r.perSecond()/best.perSecond, best.goal, float64(r.at(0.5).Microseconds())/1000, float64(r.at(0.99).Microseconds())/1000,
				r.cpuEach("pkid").Microseconds(), r.cpuEach("hsmd").Microseconds(), (r.cpuEach("pkid") + r.cpuEach("hsmd")).Microseconds(), best.cpuMicros,
				watched.memory(b, "pkid"), watched.memory(b, "hsmd"))
		}
	}
}

func signBody(b *testing.B) string {
	b.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "www.example.com"}}, key)
	if err != nil {
		b.Fatal(err)
	}
	csr := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
	body, err := json.Marshal(map[string]string{"csr": string(csr)})
	if err != nil {
		b.Fatal(err)
	}
	return string(body)
}

// caller is one client with one connection. It writes its request by hand and
// reads no more of the answer than it must: what it uses of the cores is not
// there for the daemons.
type caller struct {
	conn    net.Conn
	in      *bufio.Reader
	request []byte
}

func newCaller(b *testing.B, p *daemon.PKID, path, body string) *caller {
	b.Helper()
	conn, err := net.Dial("unix", p.Socket)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	request := fmt.Sprintf("POST /v1/%s HTTP/1.1\r\nHost: pkid\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)
	return &caller{conn, bufio.NewReaderSize(conn, 64<<10), []byte(request)}
}

func (c *caller) post() error {
	if _, err := c.conn.Write(c.request); err != nil {
		return err
	}
	status, err := c.in.ReadString('\n')
	if err != nil {
		return err
	}
	length := 0
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return err
			}
		}
		if len(bytes.TrimSpace(line)) == 0 {
			break
		}
	}
	answer, err := c.in.Peek(length)
	if err == nil && (!strings.HasPrefix(status, "HTTP/1.1 200") || !bytes.Contains(answer, []byte("BEGIN CERTIFICATE"))) {
		return fmt.Errorf("%s%s", status, answer)
	}
	_, discardErr := c.in.Discard(length)
	return errors.Join(err, discardErr)
}
