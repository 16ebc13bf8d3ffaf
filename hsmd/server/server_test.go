package server_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/hsmpki/hsmpki/hsmd/server"
	"github.com/hsmpki/hsmpki/wire"
	"github.com/hsmpki/hsmpki/wire/unixsock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestGrantsAtTheDoor(t *testing.T) {
	h := start(t, clients)
	for _, c := range []struct {
		what string
		ask  func() error
		code wire.Code
	}{
		{"pkid describes all", func() error { _, err := h.as(pkid).Describe(ctx, &wire.DescribeRequest{}); return err }, 0},
		{"pkid asks the status", func() error { _, err := h.as(pkid).Status(ctx, &wire.StatusRequest{}); return err }, 0},
		{"pkid tests", func() error { _, err := h.as(pkid).Test(ctx, &wire.TestRequest{Key: "root"}); return err }, wire.Denied},
		{"pkid defines", func() error {
			_, err := h.as(pkid).Configure(ctx, &wire.ConfigureRequest{Definition: defined("learn", "learn")})
			return err
		}, wire.Denied},
		{"pkid signs", func() error {
			_, err := h.as(pkid).Sign(ctx, &wire.SignRequest{Key: "root", SPKI: make([]byte, 32)})
			return err
		}, wire.Denied},
		{"other generates", func() error {
			_, err := h.as(other).Generate(ctx, &wire.GenerateRequest{Key: "root", ID: "1"})
			return err
		}, wire.Denied},
		{"other asks for a key outside his names", func() error { _, err := h.as(other).Describe(ctx, &wire.DescribeRequest{Key: "secret"}); return err }, wire.Denied},
		{"other asks for a key that is not there", func() error { _, err := h.as(other).Describe(ctx, &wire.DescribeRequest{Key: "learn"}); return err }, wire.UnknownKey},
		{"other defines outside his names", func() error {
			_, err := h.as(other).Configure(ctx, &wire.ConfigureRequest{Definition: defined("secret", "secret")})
			return err
		}, wire.Denied},
		{"other defines", func() error {
			_, err := h.as(other).Configure(ctx, &wire.ConfigureRequest{Definition: defined("learn", "learn")})
			return err
		}, 0},
		{"root without a block signs", func() error {
			_, err := h.as(0).Sign(ctx, &wire.SignRequest{Key: "root", SPKI: make([]byte, 32)})
			return err
		}, wire.Denied},
		{"hsmd's own user without a block", func() error { _, err := h.as(own).Status(ctx, &wire.StatusRequest{}); return err }, wire.Denied},
		{"a stranger", func() error { _, err := h.as(4711).Describe(ctx, &wire.DescribeRequest{Key: "root"}); return err }, wire.Denied},
	} {
		if err := c.ask(); c.code == 0 && err != nil || c.code != 0 && !errors.Is(err, c.code) {
			t.Errorf("%s: %v, want %v", c.what, err, c.code)
		}
	}
	got := must[*wire.DescribeResponse](t)(h.as(other).Describe(ctx, &wire.DescribeRequest{}))
	if len(got.Keys) != 2 || got.Keys[0].Definition.Name != "learn" || got.Keys[1].Definition.Name != "root" {
		t.Errorf("other sees %+v", got.Keys)
	}
}

func TestDescribe(t *testing.T) {
	h := start(t, everything)
	known := must[*wire.DescribeResponse](t)(h.as(own).Describe(ctx, &wire.DescribeRequest{})).Keys[0]
	if len(known.PublicKey) != 0 || known.Fault != nil || h.token.count("describe") != 0 {
		t.Errorf("without Find: %+v", known)
	}
	find := func() wire.KeyInfo {
		return must[*wire.DescribeResponse](t)(h.as(own).Describe(ctx, &wire.DescribeRequest{Find: true})).Keys[0]
	}
	want(t, find().Fault.Err(), wire.UnknownKey, "")
	h.give("root", "P256")
	if k := find(); k.Fault != nil || len(k.PublicKey) == 0 || k.Schemes[0] != wire.ECDSAP256SHA256 || k.Definition.PKCS11.PIN != "" {
		t.Errorf("found %+v", k)
	}
	if k := must[*wire.DescribeResponse](t)(h.as(own).Describe(ctx, &wire.DescribeRequest{Key: "root"})).Keys[0]; len(k.PublicKey) == 0 {
		t.Errorf("known after Find: %+v", k)
	}
	h.give("root", "")
	want(t, find().Fault.Err(), wire.Invalid, "is RSA, which mechanism 0x1041 does not sign with")
	delete(h.token.keys, "root")
	want(t, find().Fault.Err(), wire.UnknownKey, "")
	h.token.fault = wire.Errorf(wire.Unavailable, "the token is away")
	want(t, find().Fault.Err(), wire.Unavailable, "the token is away")
	status := must[*wire.StatusResponse](t)(h.as(own).Status(ctx, &wire.StatusRequest{}))
	if status.Version != "test" || status.Started != now.Unix() || len(status.Libraries) != 1 || status.Libraries[0].Name != "Soft" ||
		status.Libraries[0].Path != "/lib/soft.so" || len(status.Libraries[0].Tokens) != 2 || status.Refused != nil {
		t.Errorf("status %+v", status)
	}
}

// listen serves a server on a socket until the test ends.
func listen(t *testing.T, srv *server.Server, path string) string {
	t.Helper()
	l, err := unixsock.Listen(unixsock.Config{Path: path, Mode: 0o666})
	if err != nil {
		t.Fatal(err)
	}
	stop, cancel := context.WithCancel(ctx)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(stop, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return path
}

func dialRaw(t *testing.T, path string) net.Conn {
	t.Helper()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestStrangerIsCutOffWithoutAByte(t *testing.T) {
	h := start(t, clients) // blocks for 901 and 902 only
	dir, err := os.MkdirTemp("", "hsmd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := listen(t, h.srv, filepath.Join(dir, "s"))
	conn := dialAs(t, 4711, path)
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(conn); len(got) != 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read %q, %v", got, err)
	}
	if !strings.Contains(h.log.String(), "a peer that no client block matches was cut off") {
		t.Errorf("log: %s", h.log)
	}
	for range 50 {
		dialAs(t, 4711, path)
	}
	if n := strings.Count(h.log.String(), "was cut off"); n != 1 {
		t.Errorf("51 connections made %d lines in the log", n)
	}
}

// dialAs connects as another user where we may be another; else as ourselves,
// who has no client block either.
func dialAs(t *testing.T, uid int, path string) net.Conn {
	t.Helper()
	type result struct {
		conn net.Conn
		err  error
	}
	done := make(chan result)
	go func() {
		// Only this thread becomes the other user, and ends with the goroutine.
		runtime.LockOSThread()
		if os.Getuid() == 0 {
			if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)); errno != 0 {
				done <- result{nil, errno}
				return
			}
		}
		conn, err := net.Dial("unix", path)
		done <- result{conn, err}
	}()
	r := <-done
	if r.err != nil {
		t.Fatal(r.err)
	}
	t.Cleanup(func() { r.conn.Close() })
	return r.conn
}

func TestConnectionLimits(t *testing.T) {
	h := start(t, everything)
	srv, err := server.New(server.Config{State: h.state(), Store: h.store, Audit: h.audit, Ledger: h.ledger, Limiter: h.limiter, Version: "test", Log: slog.New(slog.NewTextHandler(h.log, nil)),
		Now: time.Now, MaxPerUser: 2})
	if err != nil {
		t.Fatal(err)
	}
	path := listen(t, srv, filepath.Join(t.TempDir(), "s"))
	var open []*wire.Client
	for range 2 {
		client, err := wire.NewClient(dialRaw(t, path), wire.ClientConfig{})
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		open = append(open, client)
	}
	if _, err := wire.NewClient(dialRaw(t, path), wire.ClientConfig{}); err == nil {
		t.Error("a third connection of one user was taken")
	}
	if !strings.Contains(h.log.String(), "too many connections") {
		t.Errorf("log: %s", h.log)
	}
	open[0].Close()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		client, err := wire.NewClient(dialRaw(t, path), wire.ClientConfig{})
		if err == nil {
			client.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after one hung up: %v", err)
		}
	}
}

func TestGarbageCostsItsSenderOnly(t *testing.T) {
	h := start(t, everything)
	h.give("root", "P256")
	path := listen(t, h.srv, filepath.Join(t.TempDir(), "s"))
	client, err := wire.NewClient(dialRaw(t, path), wire.ClientConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, garbage := range []string{"GET / HTTP/1.1\r\n\r\n", "\x00\x00\x00\x05abc", "\xff\xff\xff\xff", strings.Repeat("\x00", 5000)} {
		conn := dialRaw(t, path)
		if _, err := conn.Write([]byte(garbage)); err != nil {
			continue // hung up already
		}
		conn.(*net.UnixConn).CloseWrite()
		_, _ = io.ReadAll(conn)
	}
	if _, err := client.Test(ctx, &wire.TestRequest{Key: "root"}); err != nil {
		t.Errorf("another connection: %v", err)
	}
}
