package crl_test

import (
	"context"
	"io"
	"runtime"
	"testing"

	"github.com/hsmpki/hsmpki/pkid/crl"
)

// TestSlowReaders: readers who read slowly, as many as like, hold no copy each of
// what they read.
func TestSlowReaders(t *testing.T) {
	a := open(t)
	var many []int64
	for n := range int64(8_000) {
		many = append(many, 1<<40+n)
	}
	a.mustRevoke(many...)
	handle, err := a.Latest(t.Context(), group, crl.Complete)
	if err != nil {
		t.Fatal(err)
	}
	const readers = 400
	before := heap()
	var whole int64
	reading, stop, ended := make(chan int64, readers), make(chan struct{}), make(chan error, readers)
	for range readers {
		go func() {
			ended <- handle.Read(context.Background(), func(c *crl.Content) error {
				octets := c.DER()
				_, err := io.ReadFull(octets, make([]byte, 1000))
				reading <- c.Size
				<-stop
				runtime.KeepAlive(octets)
				return err
			})
		}()
	}
	for range readers {
		whole = <-reading
	}
	held := heap()
	close(stop)
	for range readers {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if size := held - before; size > readers/2*whole {
		t.Errorf("%d readers of %d octets hold %d", readers, whole, size)
	}
}

// heap is what is in use. What other tests have left goes in two collections: it
// may have finalizers.
func heap() int64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}
