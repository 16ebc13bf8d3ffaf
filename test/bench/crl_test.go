package bench_test

import (
	"bytes"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/pkid/inventory"
	"github.com/hsmpki/hsmpki/pkid/store"
)

// The goal for a CRL of a million entries: its build's time, and what pkid may
// have in memory meanwhile.
const (
	goalBuild = 3 * time.Second
	goalMiB   = 200
)

// BenchmarkRevocationList measures revoking and the making of a CRL beside many
// revocations, which are put into the state while pkid is down.
func BenchmarkRevocationList(b *testing.B) {
	fmt.Printf("\n%s\n\n| revoked | revoke p50 ms | build s | CRL MiB | read s | CPU s a build: pkid | hsmd + worker | most MiB: pkid | hsmd + worker |\n|---|---|---|---|---|---|---|---|---|\n", machine())
	for _, entries := range []int{0, 100_000, 1_000_000} {
		benchList(b, entries)
	}
	fmt.Printf("\nGoals at 1,000,000: a build in %v, and pkid below %d MiB.\n", goalBuild, goalMiB)
}

func benchList(b *testing.B, entries int) {
	h, p, root := startCA(b, "")
	p.Must(b, "POST", "pki/config/crl", map[string]any{"max_crl_entries": -1, "auto_rebuild": true})
	uuid := p.Must(b, "GET", "sys/mounts/pki", nil).String(b, "uuid")
	p.Stop()
	revokeMany(b, p.State, uuid, root.String(b, "issuer_id"), inventory.GroupOf(parse(b, root.String(b, "certificate"))), entries)
	p.Start()

	watched := processes{"pkid": {p.PID()}, "hsmd": append(h.WorkerPIDs(), h.PID())}
	p.Must(b, "GET", "pki/crl/rotate", nil) // the state is warm, hsmd's worker is there
	watched.forgetPeak(b)
	var builds []time.Duration
	before := watched.cpu(b)
	for range rounds {
		start := time.Now()
		p.Must(b, "GET", "pki/crl/rotate", nil)
		builds = append(builds, time.Since(start))
	}
	after := watched.cpu(b)
	pkidPeak, hsmdPeak := watched.peak(b, "pkid"), watched.peak(b, "hsmd")
	slices.Sort(builds)

	start := time.Now()
	der := p.Must(b, "GET", "pki/crl", nil).Body
	read := time.Since(start)
	verifyList(b, root.String(b, "certificate"), der, entries)

	var revocations []time.Duration
	for range 51 {
		serial := p.Must(b, "POST", "pki/issue/web", map[string]any{"common_name": "www.example.com"}).String(b, "serial_number")
		start := time.Now()
		p.Must(b, "POST", "pki/revoke", map[string]any{"serial_number": serial, "reason": "superseded"})
		revocations = append(revocations, time.Since(start))
	}
	slices.Sort(revocations)
	each := func(name string) float64 { return (after[name] - before[name]).Seconds() / rounds }
	fmt.Printf("| %d | %.1f | %.2f | %.1f | %.2f | %.2f | %.2f | %.0f | %.0f |\n", entries, float64(revocations[len(revocations)/2].Microseconds())/1000,
		builds[len(builds)/2].Seconds(), float64(len(der))/(1<<20), read.Seconds(), each("pkid"), each("hsmd"), pkidPeak, hsmdPeak)
}

// revokeMany writes revocations of certificates that nobody has into a state
// that no pkid uses: random serial numbers, a reason in every fourth.
func revokeMany(b *testing.B, path, uuid, issuer string, group inventory.Group, n int) {
	b.Helper()
	ours, now := inventory.Of(uuid), time.Now().Add(-time.Hour)
	fill(b, path, n, func(tx store.Tx, i int) error {
		_, err := ours.Revoke(tx, &inventory.Revocation{Serial: new(big.Int).SetBytes(serialOctets()), Issuer: issuer, Group: group,
			NotAfter: now.Add(1000 * time.Hour), At: now, Reason: i % 4 / 3})
		return err
	})
}

// verifyList has openssl verify a CRL and count its entries.
func verifyList(b *testing.B, root string, der []byte, entries int) {
	b.Helper()
	dir := b.TempDir()
	rootFile, listFile := filepath.Join(dir, "root.pem"), filepath.Join(dir, "list.crl")
	if err := os.WriteFile(rootFile, []byte(root), 0o600); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(listFile, der, 0o600); err != nil {
		b.Fatal(err)
	}
	out, err := exec.Command("openssl", "crl", "-inform", "DER", "-in", listFile, "-CAfile", rootFile, "-text", "-noout").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "verify OK") {
		b.Fatalf("openssl: %v\n%.2000s", err, out)
	}
	if n := bytes.Count(out, []byte("Serial Number:")); n != entries {
		b.Fatalf("openssl counts %d entries, want %d", n, entries)
	}
}
