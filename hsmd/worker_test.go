package main

import (
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/test/softhsm"
	"github.com/hsmpki/hsmpki/wire"
)

// TestWorkerKilledWhileSigning kills the worker under load: requests are
// repeated on the next one, and none fails.
func TestWorkerKilledWhileSigning(t *testing.T) {
	token := softhsm.New(t)
	path, socket := file(t, token, asIs)
	running(t, path, socket)
	client := connect(t, socket)
	if _, err := client.Generate(t.Context(), &wire.GenerateRequest{Key: "root", ID: "1"}); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var load sync.WaitGroup
	var signed [4]atomic.Int64
	for i := range signed {
		load.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if _, err := client.Test(t.Context(), &wire.TestRequest{Key: "root"}); err != nil {
					t.Errorf("while the worker died: %v", err)
					return
				}
				signed[i].Add(1)
			}
		})
	}
	var last int
	for range 3 {
		status, err := client.Status(t.Context(), &wire.StatusRequest{})
		if err != nil {
			t.Fatal(err)
		}
		pid := status.Libraries[0].PID
		if pid == last {
			t.Fatalf("the killed worker %d answers", pid)
		}
		last = pid
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if _, err := client.Test(t.Context(), &wire.TestRequest{Key: "root"}); err != nil {
			t.Errorf("the first request afterwards: %v", err)
		}
		// A request is repeated once: each caller gets past this death before
		// the next.
		for i := range signed {
			for before := signed[i].Load(); signed[i].Load() < before+2 && !t.Failed(); {
				time.Sleep(time.Millisecond)
			}
		}
	}
	close(done)
	load.Wait()
}
