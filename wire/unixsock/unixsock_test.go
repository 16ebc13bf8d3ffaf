package unixsock_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/hsmpki/hsmpki/wire/unixsock"
)

func TestListenerMakesTheSocketAsAsked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := unixsock.Listen(unixsock.Config{Path: path, Mode: 0o620, Group: "1"})
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o620 || info.Sys().(*syscall.Stat_t).Gid != 1 {
		t.Errorf("mode %v, group %d", info.Mode(), info.Sys().(*syscall.Stat_t).Gid)
	}
	if _, err := unixsock.Listen(unixsock.Config{Path: path}); err == nil || !strings.Contains(err.Error(), "another process serves it") {
		t.Errorf("a second listener: %v", err)
	}
	l.Close()
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the socket stays after Close: %v", err)
	}
}

func TestCase42_WhatIsInTheWay(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	stale.Close()
	l, err := unixsock.Listen(unixsock.Config{Path: path})
	if err != nil {
		t.Fatalf("a stale socket is replaced: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	l.Close()
	if _, err := os.Stat(path); err != nil {
		t.Errorf("Close removed another's file: %v", err)
	}
	if _, err := unixsock.Listen(unixsock.Config{Path: path}); err == nil {
		t.Error("a file was replaced")
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Join(dir, "elsewhere"), link); err != nil {
		t.Fatal(err)
	}
	if _, err := unixsock.Listen(unixsock.Config{Path: link}); err == nil {
		t.Error("a symbolic link was followed")
	}
	open := filepath.Join(dir, "open")
	if err := os.Mkdir(open, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := unixsock.Listen(unixsock.Config{Path: filepath.Join(open, "s")}); err == nil || !strings.Contains(err.Error(), "everybody") {
		t.Errorf("a folder for everybody: %v", err)
	}
	if _, err := unixsock.Listen(unixsock.Config{Path: filepath.Join(dir, strings.Repeat("x", 120))}); err == nil {
		t.Error("a path that is too long")
	}
	if _, err := unixsock.Listen(unixsock.Config{Path: filepath.Join(dir, "u"), User: "nobody-of-this-name"}); err == nil {
		t.Error("an unknown user")
	}
}

// TestPeer: the kernel tells who connects, this process and one of another user.
func TestPeer(t *testing.T) {
	if path := os.Getenv("UNIXSOCK_DIAL"); path != "" {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Read(make([]byte, 1))
		return
	}
	dir, err := os.MkdirTemp("/tmp", "unixsock-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "s")
	l, err := unixsock.Listen(unixsock.Config{Path: path, Mode: 0o666})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	own, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	if peer := accepted(t, l); peer.UID != uint32(os.Getuid()) || peer.PID != int32(os.Getpid()) {
		t.Errorf("this process is %v", peer)
	}
	if os.Getuid() != 0 {
		return // only root can become another
	}
	program := filepath.Join(dir, "child")
	raw, err := os.ReadFile(os.Args[0])
	if err == nil {
		err = os.WriteFile(program, raw, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(program, "-test.run=^TestPeer$")
	child.Env = append(os.Environ(), "UNIXSOCK_DIAL="+path)
	child.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 4321, Gid: 4322, Groups: []uint32{4323, 4324}}}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	peer := accepted(t, l)
	if peer.UID != 4321 || peer.GID != 4322 || !slices.Equal(peer.Groups, []uint32{4323, 4324}) || !peer.InGroup(4324) || peer.InGroup(0) {
		t.Errorf("another user's process is %+v", peer)
	}
	if err := child.Wait(); err != nil {
		t.Error(err)
	}
}

func accepted(t *testing.T, l net.Listener) unixsock.Peer {
	t.Helper()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	peer, err := unixsock.PeerOf(conn)
	if err != nil {
		t.Fatal(err)
	}
	return peer
}

func TestInheritTakesWhatIsConfiguredOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	made, err := unixsock.Listen(unixsock.Config{Path: path, Mode: 0o660})
	if err != nil {
		t.Fatal(err)
	}
	defer made.Close()
	file, err := made.File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	stranger := strconv.Itoa(os.Getuid() + 1)
	for _, c := range []struct {
		cfg  unixsock.Config
		says string
	}{
		{unixsock.Config{Path: path, Mode: 0o660}, ""},
		{unixsock.Config{Path: path, Mode: 0o660, User: strconv.Itoa(os.Getuid()), Group: strconv.Itoa(os.Getgid())}, ""},
		{unixsock.Config{Path: path}, "its mode is 0660 and should be 0600"},
		{unixsock.Config{Path: path, Mode: 0o666}, "its mode is 0660 and should be 0666"},
		{unixsock.Config{Path: path, Mode: 0o660, User: stranger}, "its owner is user"},
		{unixsock.Config{Path: path, Mode: 0o660, Group: stranger}, "its group is"},
		{unixsock.Config{Path: filepath.Dir(path), Mode: 0o700}, "no socket"},
		{unixsock.Config{Path: path + "x", Mode: 0o660}, "no such file"},
	} {
		l, err := unixsock.Inherit(c.cfg, file)
		switch {
		case c.says == "" && err != nil, c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)):
			t.Errorf("%+v: %v, want %q", c.cfg, err, c.says)
		}
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(path); err != nil {
			t.Errorf("the file does not outlive the listener: %v", err)
		}
	}
}
