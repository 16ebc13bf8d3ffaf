package bench_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
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
	h, p, _ := startCA(b, "")
	watched := processes{"pkid": {p.PID()}, "hsmd": append(h.WorkerPIDs(), h.PID())}

	fmt.Printf("\n%s\n\n| | callers | certificates/s | best peer | ratio (goal) | p50 ms | p99 ms | CPU µs each: pkid | hsmd + worker | both (best peer) | MiB: pkid | hsmd + worker |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n", machine())
	for _, act := range []struct{ name, body string }{{"sign", signBody(b)}, {"issue", `{"common_name":"www.example.com"}`}} {
		for _, callers := range []int{1, 8, 32} {
			var runs []run
			var all []*caller
			for range callers {
				all = append(all, issuer(b, p, act.name, act.body))
			}
			for range rounds {
				runs = append(runs, load(b, callers, roundTime, watched, func(n int) error { return all[n].ask() }))
			}
			r, best := median(runs), peer[callers]
			fmt.Printf("| %s | %d | %.0f | %.0f | %.1f (%.0f) | %.1f | %.1f | %d | %d | %d (%.0f) | %.0f | %.0f |\n", act.name, callers, r.perSecond(), best.perSecond,
				r.perSecond()/best.perSecond, best.goal, float64(r.at(0.5).Microseconds())/1000, float64(r.at(0.99).Microseconds())/1000,
				r.cpuEach("pkid").Microseconds(), r.cpuEach("hsmd").Microseconds(), (r.cpuEach("pkid") + r.cpuEach("hsmd")).Microseconds(), best.cpuMicros,
				watched.memory(b, "pkid"), watched.memory(b, "hsmd"))
		}
	}
}

// startCA runs both daemons, with a mount "pki" that has a P-256 root in SoftHSM
// and the role "web". Blocks are more of pkid's file; root is the answer to its
// making.
func startCA(b *testing.B, blocks string) (h *daemon.HSMD, p *daemon.PKID, root *daemon.Answer) {
	b.Helper()
	token := softhsm.New(b)
	h = quietHSMD(b, token, managed(token, "ca", `mechanism = "0x1041"`, `curve = "P256"`))
	p = daemon.NewPKID(b, h, blocks)
	p.Quiet(b)
	p.Start()
	p.Must(b, "POST", "sys/mounts/pki", map[string]any{"type": "pki", "config": map[string]any{"max_lease_ttl": "87600h"}})
	root = p.Must(b, "POST", "pki/root/generate/kms", map[string]any{"managed_key_name": "ca", "common_name": "Bench Root", "ttl": "87600h"})
	p.Must(b, "POST", "pki/roles/web", map[string]any{"allowed_domains": "example.com", "allow_subdomains": true, "key_type": "ec", "ttl": "72h"})
	return h, p, root
}

// issuer is a caller that asks for certificates.
func issuer(b *testing.B, p *daemon.PKID, act, body string) *caller {
	b.Helper()
	conn, err := net.Dial("unix", p.Socket)
	if err != nil {
		b.Fatal(err)
	}
	return newCaller(b, conn, post("pki/"+act+"/web", "application/json", body), "BEGIN CERTIFICATE")
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
