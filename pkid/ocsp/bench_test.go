package ocsp_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"math/big"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/pkid/ocsp"
)

// BenchmarkRespond measures answers from the query's octets to the answer's,
// with the responder's key in this process. Each query comes from a source of
// its own, 10 ms after the one before by the responder's clock.
func BenchmarkRespond(b *testing.B) {
	a := newAuthority(start)
	i := a.issuer(b, "Root", "P-256", 0, year)
	const many = 1 << 13
	queries := map[string][][]byte{}
	for n := range many {
		serial := big.NewInt(int64(n + 1))
		a.status("Root", serial, ocsp.Status{State: ocsp.Good})
		q := about(b, i, serial)
		queries["uncached"] = append(queries["uncached"], q.der())
		queries["cached"] = append(queries["cached"], about(b, i, big.NewInt(1)).der())
		queries["unknown"] = append(queries["unknown"], about(b, i, big.NewInt(int64(2*many+n))).der())
		value := make([]byte, 34)
		rand.Read(value)
		value[0], value[1] = 4, 32
		q.list = sequence(extension(nonceOID, false, value))
		queries["nonce"] = append(queries["nonce"], q.der())
	}
	for _, c := range []struct {
		name  string
		cache int
	}{{"cached", 0}, {"uncached", 1}, {"unknown", 0}, {"nonce", 0}} {
		b.Run(c.name, func(b *testing.B) {
			var count atomic.Int64
			clock := func() time.Time { return start.Add(time.Duration(count.Load()) * 10 * time.Millisecond) }
			r, err := ocsp.New(ocsp.Config{Source: a, Keys: a, Now: clock, Log: slog.New(slog.DiscardHandler), CacheBytes: c.cache})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					n := count.Add(1)
					got := r.Respond(context.Background(), queries[c.name][n%many], strconv.Itoa(int(n)))
					if got.Status != ocsp.Successful {
						b.Errorf("status %d", got.Status)
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "answers/s")
		})
	}
}
