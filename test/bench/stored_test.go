package bench_test

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/pkid/inventory"
	"github.com/hsmpki/hsmpki/pkid/store"
	"github.com/hsmpki/hsmpki/pkid/store/pebblestore"
	"github.com/hsmpki/hsmpki/test/daemon"
)

// pageRounds is how often each page is asked for; the figure is the median.
const pageRounds = 31

// BenchmarkStored holds a pkid with a million stored certificates beside one
// with a thousand: the start, and a page of each kind.
func BenchmarkStored(b *testing.B) {
	sizes := []int{1000, 1_000_000}
	var columns [][]figure
	for _, n := range sizes {
		columns = append(columns, benchStored(b, n))
	}
	fmt.Printf("\n%s\n\n| | %d stored | %d stored | ratio |\n|---|---|---|---|\n", machine(), sizes[0], sizes[1])
	for i, few := range columns[0] {
		many := columns[1][i]
		fmt.Printf("| %s | %.1f | %.1f | %.1f |\n", few.name, few.value, many.value, many.value/few.value)
	}
}

// figure is a row of the table.
type figure struct {
	name  string
	value float64
}

func benchStored(b *testing.B, n int) []figure {
	_, p, root := startCA(b, "")
	template := p.Must(b, "POST", "pki/issue/web", map[string]any{"common_name": hostName(0)})
	uuid := p.Must(b, "GET", "sys/mounts/pki", nil).String(b, "uuid")
	p.Stop()
	middle := storeMany(b, p.State, uuid, root, parse(b, template.String(b, "certificate")), n)

	p.Start()
	settle(b, processes{"pkid": {p.PID()}})
	p.Stop()

	var starts []time.Duration
	for range rounds {
		starts = append(starts, startTime(b, p))
		p.Stop()
	}
	slices.Sort(starts)
	p.Start()
	watched := processes{"pkid": {p.PID()}}
	figures := []figure{
		{"start until the first answer, ms", millis(starts[len(starts)/2])},
		{"memory after the start, MiB", watched.memory(b, "pkid")},
	}
	between := fmt.Sprintf("expires_after=%s&expires_before=%s", middle.Format(time.RFC3339), middle.Add(24*time.Hour).Format(time.RFC3339))
	issuer := root.String(b, "issuer_id")
	for _, page := range []struct {
		name, query string
		rows        int
	}{
		{"detailed, one by name, ms", "certs/detailed?name=" + hostName(n/2), 1},
		{"detailed, 100 by names below a domain, ms", "certs/detailed?limit=100&name=*.example.com", 100},
		{"detailed, 100 by role, ms", "certs/detailed?limit=100&role=web", 100},
		{"detailed, 100 by issuer, ms", "certs/detailed?limit=100&issuer=" + issuer, 100},
		{"detailed, 100 that end in a day, ms", "certs/detailed?limit=100&" + between, 100},
		{"detailed, 100 by role that end in a day, ms", "certs/detailed?limit=100&role=web&" + between, 100},
		{"serial numbers, first 1,000, ms", "certs?limit=1000", 1000},
		{"serial numbers, 100 from the middle, ms", "certs?limit=100&after=60:00", 100},
	} {
		var took []time.Duration
		for range pageRounds {
			start := time.Now()
			answer := p.Must(b, "LIST", "pki/"+page.query, nil)
			took = append(took, time.Since(start))
			if got := len(answer.Data["keys"].([]any)); got != page.rows {
				b.Fatalf("%s: %d rows, want %d", page.query, got, page.rows)
			}
		}
		slices.Sort(took)
		figures = append(figures, figure{page.name, millis(took[len(took)/2])})
	}
	pages := 0
	start := time.Now()
	for next := ""; pages == 0 || next != "" && pages < 20; pages++ {
		next, _ = p.Must(b, "LIST", "pki/certs/detailed?limit=100&role=web&after="+next, nil).Data["next"].(string)
	}
	return append(figures,
		figure{"detailed, a page of 100 when paging, ms", millis(time.Since(start)) / float64(pages)},
		figure{"memory after these, MiB", watched.memory(b, "pkid")})
}

// settle waits until a process is idle: until the store has compacted what was
// put into it at once, as it would have when it came by and by.
func settle(b *testing.B, watched processes) {
	b.Helper()
	for last, end := watched.cpu(b), time.Now().Add(time.Minute); time.Now().Before(end); {
		time.Sleep(time.Second)
		now := watched.cpu(b)
		if now["pkid"]-last["pkid"] < 5*clockTick {
			return
		}
		last = now
	}
	b.Fatal("pkid does not come to rest")
}

// startTime is how long a pkid needs until it answers sys/health.
func startTime(b *testing.B, p *daemon.PKID) time.Duration {
	b.Helper()
	start := time.Now()
	p.Launch()
	for time.Since(start) < time.Minute {
		if a, err := p.Request("GET", "sys/health", nil); err == nil && a.Status == 200 {
			return time.Since(start)
		}
		time.Sleep(time.Millisecond)
	}
	b.Fatalf("pkid does not answer:\n%s", p.Log())
	return 0
}

// hostName has one length for all.
func hostName(i int) string { return fmt.Sprintf("h%07d.example.com", i) }

// storeMany puts n certificates into a state that no pkid uses: copies of one
// real certificate with another serial number, name and end each, as many as
// are issued in their time of life. Their signatures do not count: nobody
// verifies what is stored. It gives a time in the middle of their ends.
func storeMany(b *testing.B, path, uuid string, root *daemon.Answer, template *x509.Certificate, n int) (middle time.Time) {
	b.Helper()
	ours, first := inventory.Of(uuid), time.Now().Add(24*time.Hour).UTC().Truncate(time.Second)
	step := 48 * time.Hour / time.Duration(n) // within the next three days
	group, issuer := inventory.GroupOf(parse(b, root.String(b, "certificate"))), root.String(b, "issuer_id")
	fill(b, path, n, func(tx store.Tx, i int) error {
		c := copyOf(template, hostName(i+1), first.Add(time.Duration(i)*step))
		return ours.Put(tx, &inventory.Certificate{DER: c.Raw, Issuer: issuer, Group: group, Role: "web", IssuedAt: c.NotBefore}, c)
	})
	return first.Add(12 * time.Hour)
}

// fill has n things put into a state that no pkid uses, 5,000 in an update.
func fill(b *testing.B, path string, n int, put func(tx store.Tx, i int) error) {
	b.Helper()
	s, err := pebblestore.Open(pebblestore.Config{Path: path})
	if err != nil {
		b.Fatal(err)
	}
	const batch = 5000
	for done := 0; done < n; done += batch {
		err := s.Update(b.Context(), func(tx store.Tx) error {
			for i := done; i < min(done+batch, n); i++ {
				if err := put(tx, i); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}

// serialOctets are those of a serial number: positive, without a leading zero.
func serialOctets() []byte {
	octets := make([]byte, 20)
	rand.Read(octets)
	octets[0] = 0x40 | octets[0]&0x3f
	return octets
}

// copyOf is a certificate with other octets of the same lengths in it.
func copyOf(template *x509.Certificate, name string, end time.Time) *x509.Certificate {
	c := *template
	octets := serialOctets()
	c.SerialNumber, c.NotAfter, c.DNSNames = new(big.Int).SetBytes(octets), end, []string{name}
	c.Subject.CommonName = name
	const utcTime = "060102150405Z"
	c.Raw = bytes.Replace(c.Raw, template.SerialNumber.FillBytes(make([]byte, 20)), octets, 1)
	c.Raw = bytes.ReplaceAll(c.Raw, []byte(template.Subject.CommonName), []byte(name))
	c.Raw = bytes.Replace(c.Raw, []byte(template.NotAfter.Format(utcTime)), []byte(end.Format(utcTime)), 1)
	return &c
}
