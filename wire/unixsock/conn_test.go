package unixsock_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/wire/unixsock"
)

// connected gives both ends of a connection.
func connected(t *testing.T) (near, far *unixsock.Conn) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := unixsock.Listen(unixsock.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if near, err = unixsock.Dial(path, time.Second); err != nil {
		t.Fatal(err)
	}
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	far = accepted.(*unixsock.Conn)
	t.Cleanup(func() { near.Close(); far.Close() })
	return near, far
}

func TestConnCarriesMoreThanTheSocketHolds(t *testing.T) {
	near, far := connected(t)
	if pid := int32(os.Getpid()); near.Peer.PID != pid || far.Peer.PID != pid {
		t.Errorf("peers %v and %v, both are process %d", near.Peer, far.Peer, pid)
	}
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	var writing sync.WaitGroup
	writing.Go(func() {
		if n, err := near.Write(sent); n != len(sent) || err != nil {
			t.Errorf("wrote %d octets, %v", n, err)
		}
		if err := near.CloseWrite(); err != nil {
			t.Error(err)
		}
	})
	got, err := io.ReadAll(far)
	writing.Wait()
	if err != nil || !bytes.Equal(got, sent) {
		t.Errorf("read %d octets of %d, %v", len(got), len(sent), err)
	}
	if n, err := far.Read(nil); n != 0 || err != nil {
		t.Errorf("reading nothing: %d, %v", n, err)
	}
}

func TestConnKeepsDeadlines(t *testing.T) {
	near, far := connected(t)
	past := time.Now().Add(-time.Second)
	_ = near.SetReadDeadline(past)
	if _, err := near.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read after the deadline: %v", err)
	}
	_ = near.SetReadDeadline(time.Time{})
	if _, err := far.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if n, err := near.Read(make([]byte, 1)); n != 1 || err != nil {
		t.Errorf("read with the deadline lifted: %d, %v", n, err)
	}
	// One octet is read, and no more: a write waits, and is let go by a deadline
	// that is set meanwhile.
	var reading sync.WaitGroup
	defer reading.Wait()
	reading.Go(func() {
		if _, err := far.Read(make([]byte, 1)); err != nil {
			t.Error(err)
		}
		_ = near.SetWriteDeadline(past)
	})
	n, err := near.Write(make([]byte, 8<<20))
	if !errors.Is(err, os.ErrDeadlineExceeded) || n == 0 || n == 8<<20 {
		t.Errorf("wrote %d octets, %v", n, err)
	}
}

func TestConnEnds(t *testing.T) {
	near, far := connected(t)
	var reading sync.WaitGroup
	reading.Go(func() {
		if _, err := near.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("read while it was closed: %v", err)
		}
	})
	time.Sleep(10 * time.Millisecond) // most often it waits by now
	near.Close()
	reading.Wait()
	if n, err := far.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("read at the end: %d, %v", n, err)
	}
	_, err := far.Write([]byte("x"))
	if op, ok := errors.AsType[*net.OpError](err); !ok || !errors.Is(err, syscall.EPIPE) || op.Op != "write" {
		t.Errorf("write after the end: %v", err)
	}
}

func TestFileConn(t *testing.T) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]*unixsock.Conn
	for i, fd := range fds {
		file := os.NewFile(uintptr(fd), "pair")
		defer file.Close()
		if ends[i], err = unixsock.FileConn(file); err != nil {
			t.Fatal(err)
		}
		defer ends[i].Close()
	}
	if _, err := ends[0].Write([]byte("word")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 8)
	if n, err := ends[1].Read(got); err != nil || string(got[:n]) != "word" {
		t.Errorf("%q, %v", got[:n], err)
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if _, err := unixsock.FileConn(null); err == nil {
		t.Error("a file that is no socket was taken")
	}
}
