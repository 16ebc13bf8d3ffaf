package auditlog_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/hsmd/auditlog"
)

// childOf, in the environment, has the test program be one that writes to a log
// until it is killed; its value is the log's folder.
const childOf = "HSMPKI_AUDITLOG_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childOf); dir != "" {
		fmt.Fprintln(os.Stderr, child(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func childConfig(dir string) auditlog.Config {
	return auditlog.Config{Path: dir + "/audit.log", Checkpoints: dir + "/checkpoint", Seed: make([]byte, 32), Version: "test",
		Log: slog.New(slog.DiscardHandler), Now: time.Now, SegmentSize: 8 << 10, Reserve: 64 << 10}
}

// child says of each line that it is durable, once it is.
func child(dir string) error {
	l, err := auditlog.Open(childConfig(dir))
	if err != nil {
		return err
	}
	fmt.Println("opened")
	failed := make(chan error)
	for range 4 {
		go func() {
			for {
				serial := fmt.Sprintf("%x", rand.Uint64())
				p, err := l.Append(&auditlog.Entry{Kind: auditlog.Certificate, Serial: serial}, false)
				if err == nil {
					err = p.Wait(context.Background())
				}
				if err == nil {
					fmt.Println(serial)
					err = l.Outcome(p, &auditlog.Entry{Kind: auditlog.Signed})
				}
				if err == nil && rand.N(20) == 0 {
					err = l.Checkpoint(context.Background())
				}
				if err != nil {
					failed <- err
				}
			}
		}()
	}
	return <-failed
}

// TestKill9 kills who writes at random moments, in the middle of sealing segments
// too: each time the log is whole but for a torn end, and has every line that was
// said to be durable.
func TestKill9(t *testing.T) {
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for range 20 {
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), childOf+"="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		in := bufio.NewScanner(out)
		if !in.Scan() || in.Text() != "opened" {
			t.Fatalf("the child did not open the log: %q", in.Text())
		}
		for until := len(said) + 1 + rand.N(60); in.Scan(); {
			if said = append(said, in.Text()); len(said) == until {
				_ = cmd.Process.Kill()
			}
		}
		if err := cmd.Wait(); cmd.ProcessState.ExitCode() != -1 {
			t.Fatalf("the child ended by itself: %v", err)
		}
		if _, err := auditlog.Verify(dir+"/audit.log", dir+"/checkpoint", ""); err != nil {
			t.Fatal(err)
		}
	}
	l, err := auditlog.Open(childConfig(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	logged := map[string]bool{}
	for line, err := range l.Read(0) {
		if err != nil {
			t.Fatal(err)
		}
		logged[line.Serial] = true
	}
	for _, s := range said {
		if !logged[s] {
			t.Errorf("line %s was said to be durable and is not there", s)
		}
	}
	r, err := auditlog.Verify(dir+"/audit.log", dir+"/checkpoint", l.Verifier())
	if err != nil || r.Segments < 2 {
		t.Errorf("%v, %+v, %d lines said to be durable", err, r, len(said))
	}
}

// TestVerifyWhileSealing: a log is whole at every moment.
func TestVerifyWhileSealing(t *testing.T) {
	l := start(t, small)
	var writing sync.WaitGroup
	stop := make(chan struct{})
	for i := range 2 {
		writing.Go(func() {
			for j := range 1500 { // each reading is of all, and they get longer
				select {
				case <-stop:
					return
				default:
					l.certificate(fmt.Sprintf("%02x:%04x", i, j))
				}
			}
		})
	}
	for i := 0; i < 50 || l.verify().Segments < 3; i++ {
		l.verify()
		next := uint64(0)
		for line, err := range l.Read(0) {
			if err != nil {
				t.Fatal(err)
			}
			if line.Seq != next {
				t.Fatalf("line %d, want %d", line.Seq, next)
			}
			next++
		}
	}
	close(stop)
	writing.Wait()
	l.verify()
}
