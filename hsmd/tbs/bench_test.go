package tbs_test

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"io"
	"runtime"
	"testing"

	"github.com/hsmpki/hsmpki/hsmd/tbs"
	"github.com/hsmpki/hsmpki/wire"
)

func BenchmarkCertificate(b *testing.B) {
	with := schemes(b)[wire.ECDSAP256SHA256]
	der, err := x509.CreateCertificate(rand.Reader, template(), template(), with.key.Public(), with.key)
	if err != nil {
		b.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tbs.Parse(cert.RawTBSCertificate, rules(wire.ECDSAP256SHA256)); err != nil {
			b.Fatal(err)
		}
	}
}

// bigList is a CRL's TBS of n entries as a stream that is never held.
func bigList(n int) io.Reader {
	p := goodRevocationList()
	entry := seq(tlv(2, bytes.Repeat([]byte{0x41}, 20)), utc("261123120000Z"), seq(extension("\x55\x1d\x15", false, []byte{10, 1, 1})))
	list := length(0x30, n*len(entry))
	head := bytes.Join([][]byte{p["version"], p["algorithm"], p["issuer"], p["this"], p["next"], list}, nil)
	total := length(0x30, len(head)+n*len(entry)+len(p["extensions"]))
	return io.MultiReader(bytes.NewReader(total), bytes.NewReader(head), &repeat{entry: entry, left: n}, bytes.NewReader(p["extensions"]))
}

func length(tag byte, n int) []byte {
	return []byte{tag, 0x84, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
}

type repeat struct {
	entry []byte
	left  int
	at    int
}

func (r *repeat) Read(p []byte) (n int, err error) {
	for n < len(p) && r.left > 0 {
		c := copy(p[n:], r.entry[r.at:])
		n += c
		if r.at += c; r.at == len(r.entry) {
			r.at = 0
			r.left--
		}
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func TestListInConstantMemory(t *testing.T) {
	const entries = 500_000 // 26 MB
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got, err := tbs.Read(bigList(entries), rules(wire.ECDSAP256SHA256))
	runtime.ReadMemStats(&after)
	if err != nil {
		t.Fatal(err)
	}
	if got.Entries != entries || len(got.Extensions) != 1 || tbs.NameString(got.Issuer) != "CN=Example Root" {
		t.Errorf("%+v", got)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20 {
		t.Errorf("took %d octets of memory for %d", used, got.Size)
	}
}
