package test

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/test/daemon"
	"github.com/hsmpki/hsmpki/test/softhsm"
	"github.com/hsmpki/hsmpki/wire"
)

// TestReloadRules: a start logs the rules as they are, a reload those that have
// changed, one in a line, without a PIN.
func TestReloadRules(t *testing.T) {
	token := softhsm.New(t)
	library := daemon.Libraries(token.Store)
	h := daemon.NewHSMD(t, library+hclKey(token, "ca")+hclKey(token, "old")+client("ops", 4711, `"sign"`, `"ca"`)+client("gone", 4712, "", ""))
	h.Start()
	says(t, h.Log(),
		`"msg":"rule added","rule":"log_level","is":"debug"`,
		`"msg":"rule added","rule":"kms_library \"softhsm\"","is":"`+token.Library+`, as many sessions as a token allows, at most 32, with SOFTHSM2_CONF set"`,
		`"msg":"rule added","rule":"client \"ops\"","is":"user 4711 may: describe, status, sign, on keys ca"`,
		`"msg":"rule added","rule":"managed_key \"ca\"","is":"ECDSA P256 in library \"softhsm\", token ca, key label ca, is made when it is missing, any mount may use it"`)

	h.Level = "warn"
	sessions := strings.Replace(library, "  env ", "  max_sessions = 4\n  env ", 1)
	log := reload(t, h, sessions+strings.Replace(hclKey(token, "ca"), "any_mount          = true", "", 1)+hclKey(token, "new")+
		client("ops", 4711, `"sign", "test"`, `"ca", "new"`)+daemon.WireKeys)
	says(t, log,
		`"msg":"rule changed","rule":"log_level","was":"debug","is":"warn"`,
		`"msg":"rule changed","rule":"kms_library \"softhsm\"","was":"`+token.Library+`, as many`,
		`, at most 4 sessions on a token, with SOFTHSM2_CONF set"`,
		`"msg":"rule changed","rule":"client \"ops\"","was":"user 4711 may: describe, status, sign, on keys ca","is":"user 4711 may: describe, status, sign, test, on keys ca, new"`,
		`"msg":"rule removed","rule":"client \"gone\"","was":"user 4712`,
		`"msg":"rule changed","rule":"managed_key \"ca\""`,
		`"msg":"rule removed","rule":"managed_key \"old\""`,
		`"msg":"rule added","rule":"managed_key \"new\""`,
		`"msg":"rule added","rule":"wire_keys","is":"clients with \"configure\" may define up to 100 more, of libraries *, on tokens *"`,
		`"msg":"a new worker of a library takes over","library":"softhsm","why_new":"its stanza changed"`,
		`"changed_rules":8`)
	if strings.Contains(h.Log(), token.PIN) {
		t.Error("the log shows a PIN")
	}
	h.Level = ""
	says(t, reload(t, h, sessions), `"rule":"log_level","was":"warn","is":"debug"`)
}

// TestReloadPeers narrows what a peer may ask while it is connected, and takes
// everything from it in the end.
func TestReloadPeers(t *testing.T) {
	token := softhsm.New(t)
	blocks := daemon.Libraries(token.Store) + hclKey(token, "ca")
	uid := os.Getuid()
	if uid == 0 {
		uid = 65534 // whom no rule of root's own is for
	}
	h := daemon.NewHSMD(t, blocks+client("peer", uid, `"sign", "generate"`, `"*"`))
	h.Start()
	conn, err := dialAs(t, uid, h.Socket)
	if err != nil {
		t.Fatal(err)
	}
	c, err := wire.NewClient(conn, wire.ClientConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s := signerOf(t, c, "ca")
	tbs := tbsCertificate(t, s)
	sign := func() error { return s.ask(func(r *wire.SignRequest) { r.Message = tbs }) }
	if err := sign(); err != nil {
		t.Fatal(err)
	}
	reload(t, h, blocks+client("peer", uid, `"generate"`, `"*"`))
	if err := sign(); !errors.Is(err, wire.Denied) {
		t.Errorf("without the capability: %v, want denied", err)
	}
	reload(t, h, blocks+client("peer", uid, `"sign"`, `"other"`))
	if err := sign(); !errors.Is(err, wire.Denied) {
		t.Errorf("without the key: %v, want denied", err)
	}
	reload(t, h, blocks+client("peer", uid, `"sign"`, `"ca"`))
	if err := sign(); err != nil {
		t.Errorf("allowed again: %v", err)
	}
	says(t, reload(t, h, blocks+client("another", 4711, `"sign"`, `"*"`)), `"msg":"a peer that no client block matches any more was cut off"`)
	select {
	case <-c.Done():
	case <-time.After(30 * time.Second):
		t.Error("the peer is still connected")
	}
	conn, err = dialAs(t, uid, h.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	if got, err := io.ReadAll(conn); len(got) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a new connection read %q, %v; want its end", got, err)
	}
}

// TestReloadNeedsRestart changes what only a start takes.
func TestReloadNeedsRestart(t *testing.T) {
	token := softhsm.New(t)
	h := daemon.NewHSMD(t, daemon.Libraries(token.Store))
	h.Start()
	text, err := os.ReadFile(h.Config)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.NewReplacer(h.State, h.State+"2", h.Socket, h.Socket+"2", "log_level", "state_key = \"file:/none\"\nlog_level").Replace(string(text))
	writeOrFail(t, h.Config, changed+hclKey(token, "ca"))
	log, taken := h.Reload()
	if !taken {
		t.Fatalf("not taken:\n%s", log)
	}
	says(t, log, "state_dir is still "+h.State, "state_key is still the one that hsmd was started with",
		"hsmd still listens at "+h.Socket, `"msg":"hsmd has to be restarted to take a change"`, `hsmd.hcl:2: `)
	signerOf(t, wireClient(t, h.Socket), "ca") // what a reload takes is taken
}

// TestReloadNotifies: systemd hears when a reload begins, by its clock, and when
// it is over, be there a fault or not.
func TestReloadNotifies(t *testing.T) {
	told := notifySocket(t)
	token := softhsm.New(t)
	h := daemon.NewHSMD(t, daemon.Libraries(token.Store))
	h.Start()
	p := daemon.NewPKID(t, h, "")
	told.hears("READY=1")
	p.Start()
	told.hears("READY=1")
	reloads := []func(){
		func() { reload(t, h, daemon.Libraries(token.Store)) },
		func() { notTaken(t, h, "x") },
		func() { p.Reload() },
	}
	for _, reload := range reloads {
		reload()
		told.hears("RELOADING=1\nMONOTONIC_USEC=")
		told.hears("READY=1")
	}
}

// notified is the socket that a service manager hears its services on.
type notified struct {
	t    *testing.T
	conn net.PacketConn
}

// notifySocket makes the socket for the daemons that the test starts.
func notifySocket(t *testing.T) *notified {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenPacket("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return &notified{t, conn}
}

func (n *notified) hears(begin string) {
	n.t.Helper()
	n.conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	message := make([]byte, 1000)
	got, _, err := n.conn.ReadFrom(message)
	for err == nil && strings.HasPrefix(string(message[:got]), "STATUS=") { // said whenever it changes
		got, _, err = n.conn.ReadFrom(message)
	}
	if err != nil || !strings.HasPrefix(string(message[:got]), begin) {
		n.t.Errorf("systemd was told %q (%v), want %q", message[:got], err, begin)
	}
}
