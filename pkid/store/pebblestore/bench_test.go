package pebblestore_test

import (
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/hsmpki/hsmpki/pkid/store"
	"github.com/hsmpki/hsmpki/pkid/store/pebblestore"
)

// valueSize is about a stored certificate.
const valueSize = 700

// BenchmarkUpdate is what one to many callers get: one value put, one key
// looked for that is not there and one count added to, as issuing does, and
// beside it the same value through Pebble alone.
func BenchmarkUpdate(b *testing.B) {
	for _, callers := range []int{1, 8, 32, 128} {
		b.Run(fmt.Sprintf("store/%d", callers), func(b *testing.B) {
			s, err := pebblestore.Open(pebblestore.Config{Path: b.TempDir()})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			value := make([]byte, valueSize)
			run(b, callers, func(key []byte) error {
				return s.Update(b.Context(), func(tx store.Tx) error {
					if _, err := tx.Get(key); err != store.ErrNotFound {
						return fmt.Errorf("serial taken: %v", err)
					}
					if err := tx.Add([]byte("count"), 1); err != nil {
						return err
					}
					return tx.Put(key, value)
				})
			})
		})
		b.Run(fmt.Sprintf("pebble/%d", callers), func(b *testing.B) {
			db, err := pebble.Open(b.TempDir(), &pebble.Options{Logger: quiet{}})
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			value := make([]byte, valueSize)
			run(b, callers, func(key []byte) error {
				batch := db.NewBatch()
				if err := batch.Set(key, value, nil); err != nil {
					return err
				}
				return db.Apply(batch, pebble.Sync)
			})
		})
	}
}

// run shares b.N operations among callers and reports them per second.
func run(b *testing.B, callers int, op func(key []byte) error) {
	var next atomic.Uint64
	var wg sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for range callers {
		wg.Go(func() {
			for n := next.Add(1); n <= uint64(b.N); n = next.Add(1) {
				// Serials are random, so keys come in no order.
				key := binary.BigEndian.AppendUint64([]byte("cert/"), n*0x9e3779b97f4a7c15)
				if err := op(key); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "updates/s")
}

// quiet is a Pebble log that says nothing.
type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(f string, args ...any) {
	panic(fmt.Sprintf(f, args...))
}
