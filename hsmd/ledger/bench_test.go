package ledger_test

import (
	"encoding/binary"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/hsmd/ledger"
)

// BenchmarkIssue is what one certificate costs beside its log, which is synced
// in the ledger's place.
func BenchmarkIssue(b *testing.B) {
	m := start(b)
	m.mustAll(m.Close())
	m.cfg.Replayed = true
	m.open()
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		m.mustAll(m.issue(n, soon, "certificate"))
	}
}

// BenchmarkList is a CRL of a million entries, all of which the one before had.
func BenchmarkList(b *testing.B) {
	const entries = 1_000_000
	m := start(b)
	number := uint64(0)
	list := func() {
		number++
		x := m.NewList(m.ca.SPKI, now)
		defer x.Close()
		s := make([]byte, 20)
		s[0] = 1
		for i := range uint64(entries) {
			binary.BigEndian.PutUint64(s[1:], i*0xffff_ffff)
			m.mustAll(x.Entry(m.ca.Name, s, 1))
		}
		m.mustAll(x.Claim(m.ca.Name, ledger.Numbering{Number: number}, sum("list"), false))
	}
	began := time.Now()
	list()
	first := time.Since(began)
	for b.Loop() {
		list()
	}
	b.ReportMetric(first.Seconds(), "s/first")
}

// BenchmarkTenMillion fills a ledger with ten million serials and reports what
// it takes. Run it with -benchtime 1x.
func BenchmarkTenMillion(b *testing.B) {
	m := start(b)
	m.mustAll(m.Close())
	m.cfg.Replayed = true
	m.open()
	const serials = 10_000_000
	for b.Loop() {
		began := time.Now()
		for n := range serials {
			m.mustAll(m.issue(n, soon, "certificate"))
		}
		b.ReportMetric(float64(time.Since(began).Microseconds())/serials, "µs/issue")
		b.ReportMetric(float64(size(b, m.cfg.Dir))/(1<<20), "MiB-disk")
		m.mustAll(m.Close())
		m.Ledger = nil
		debug.FreeOSMemory() // what follows is as after a start
		before := resident(b)
		began = time.Now()
		m.open()
		b.ReportMetric(time.Since(began).Seconds(), "s/open")
		for n := range 20_000 {
			m.mustAll(m.good(n * 400))
			m.mustAll(m.issue(serials+n, soon, "more"))
		}
		b.ReportMetric(resident(b)-before, "MiB-memory")
	}
}

func size(b *testing.B, dir string) (octets int64) {
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			octets += info.Size()
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return octets
}

// resident is the memory of this process as the kernel counts it, in MiB.
func resident(b *testing.B) float64 {
	var total, pages int64
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		b.Fatal(err)
	}
	if _, err := fmt.Sscan(string(text), &total, &pages); err != nil {
		b.Fatal(err)
	}
	return float64(pages*int64(os.Getpagesize())) / (1 << 20)
}
