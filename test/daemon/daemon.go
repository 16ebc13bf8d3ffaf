package daemon

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/test/secret"
	"github.com/hsmpki/hsmpki/test/softhsm"
)

// HSMD is a running hsmd.
type HSMD struct {
	process
	Dir    string // its folder
	State  string // its state_dir
	Socket string
	Config string // path of its file
	Level  string // log_level; default "debug"
}

// PKID is a running pkid.
type PKID struct {
	process
	Dir    string
	State  string // Pebble's folder
	Socket string
	Config string
	Level  string       // log_level; default "debug"
	HTTP   *http.Client // goes to the Unix socket, whatever the URL's host

	hsmd   string // hsmd's socket
	blocks string
}

// Pair is an hsmd with a token, and a pkid in front of it.
type Pair struct {
	Token *softhsm.Token
	HSMD  *HSMD
	PKID  *PKID
}

// Start runs both daemons on a fresh token. hsmd has wire_keys and no client
// block, pkid no peer block: the user who runs the test may do everything.
func Start(t testing.TB) *Pair {
	t.Helper()
	token := softhsm.New(t)
	h := NewHSMD(t, Libraries(token.Store)+WireKeys)
	h.Start()
	p := NewPKID(t, h, "")
	p.Start()
	return &Pair{token, h, p}
}

// WireKeys lets keys be defined over the wire, and made by internal_keys.
const WireKeys = `
wire_keys {
  libraries = ["*"]
}
`

// Libraries is the kms_library block of a store, with the name softhsm.
func Libraries(s *softhsm.Store) string {
	return Library("softhsm", s.Library, map[string]string{"SOFTHSM2_CONF": s.Conf})
}

// Library is the kms_library block of any library; more are further attributes
// of it.
func Library(name, path string, env map[string]string, more ...string) string {
	var set []string
	for _, variable := range slices.Sorted(maps.Keys(env)) {
		set = append(set, fmt.Sprintf("%s = %q", variable, env[variable]))
	}
	return fmt.Sprintf(`
kms_library "pkcs11" {
  name    = %q
  library = %q
  env     = { %s }
  %s
}
`, name, path, strings.Join(set, ", "), strings.Join(more, "\n  "))
}

// InternalKeys is the internal_keys block for a token, by label.
func InternalKeys(k *softhsm.Token) string {
	return fmt.Sprintf(`
internal_keys {
  library     = "softhsm"
  token_label = %q
  pin         = %q
}
`, k.Label, k.PIN)
}

// NewHSMD writes a file for hsmd with the blocks given, and does not start it.
func NewHSMD(t testing.TB, blocks string) *HSMD {
	t.Helper()
	dir := ShortDir(t)
	h := &HSMD{Dir: dir, State: filepath.Join(dir, "state"), Socket: filepath.Join(dir, "hsmd.sock"), Config: filepath.Join(dir, "hsmd.hcl")}
	h.Write(t, blocks)
	h.process = process{t: t, name: "hsmd", args: []string{"server", "-config=" + h.Config}, ready: func() error { return accepts(h.Socket) }}
	t.Cleanup(func() { h.cleanup(h.Dir, h.Config) })
	return h
}

// Write makes hsmd's file anew, for its next start or a reload.
func (h *HSMD) Write(t testing.TB, blocks string) {
	t.Helper()
	writeFile(t, h.Config, fmt.Sprintf(`
state_dir = %q
log_level = %q
listener "unix" {
  address     = %q
  socket_mode = "0666"
}
`, h.State, level(h.Level), h.Socket)+blocks)
}

func level(set string) string {
	if set == "" {
		return "debug"
	}
	return set
}

// NewPKID writes a file for pkid with the blocks given, and does not start it.
func NewPKID(t testing.TB, h *HSMD, blocks string) *PKID {
	t.Helper()
	dir := ShortDir(t)
	p := &PKID{Dir: dir, State: filepath.Join(dir, "state"), Socket: filepath.Join(dir, "pkid.sock"), Config: filepath.Join(dir, "pkid.hcl")}
	p.hsmd, p.blocks = h.Socket, blocks
	p.write(t)
	transport := &http.Transport{MaxIdleConnsPerHost: 64, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", p.Socket)
	}}
	p.HTTP = &http.Client{Transport: transport, Timeout: 3 * time.Minute}
	p.process = process{t: t, name: "pkid", args: []string{"server", "-config=" + p.Config}, ready: p.healthy}
	t.Cleanup(func() { p.cleanup(p.Dir, p.Config) })
	t.Cleanup(transport.CloseIdleConnections)
	return p
}

// Quiet makes a pkid that has not been started log warnings only.
func (p *PKID) Quiet(t testing.TB) {
	t.Helper()
	p.Level = "warn"
	p.write(t)
}

// Write makes pkid's file anew, for its next start or a reload.
func (p *PKID) Write(t testing.TB, blocks string) {
	t.Helper()
	p.blocks = blocks
	p.write(t)
}

func (p *PKID) write(t testing.TB) {
	t.Helper()
	writeFile(t, p.Config, fmt.Sprintf(`
log_level = %q
storage "pebble" { path = %q }
hsmd { address = %q }
listener "unix" {
  address     = %q
  socket_mode = "0666"
}
`, level(p.Level), p.State, p.hsmd, p.Socket)+p.blocks)
}

// OnStateOf makes a pkid that has not been started use another's state.
func (p *PKID) OnStateOf(t testing.TB, other *PKID) {
	t.Helper()
	p.State = other.State
	p.write(t)
}

// Addr is the address for PKID_ADDR and VAULT_ADDR.
func (p *PKID) Addr() string { return "unix://" + p.Socket }

// Env is the environment in which the client commands find this pkid, and
// nothing else of the user's.
func (p *PKID) Env() []string {
	return []string{"PKID_ADDR=" + p.Addr(), "VAULT_ADDR=" + p.Addr(), "PKID_TOKEN=", "VAULT_TOKEN=", "HOME=" + p.Dir}
}

func (p *PKID) healthy() error {
	resp, err := p.HTTP.Get("http://pkid/v1/sys/health")
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode >= 500 {
		return fmt.Errorf("sys/health answers %s", resp.Status)
	}
	return nil
}

// WorkerPIDs are the numbers of hsmd's worker processes.
func (h *HSMD) WorkerPIDs() []int {
	var pids []int
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		// The name of the program is in parentheses and may hold anything;
		// state and parent follow the last one (proc(5)).
		_, rest, ok := strings.Cut(string(stat[strings.LastIndexByte(string(stat), ')'):]), ") ")
		fields := strings.Fields(rest)
		if !ok || len(fields) < 2 || fields[1] != strconv.Itoa(h.PID()) || fields[0] == "Z" {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

func accepts(socket string) error {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return err
	}
	return conn.Close()
}

// ShortDir makes a folder whose sockets fit into a sockaddr, as those of
// t.TempDir with its long names may not.
func ShortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "hsmpki-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	// Another user has to reach the sockets, to be turned away by the daemons.
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// writeFile writes a configuration.
func writeFile(t testing.TB, path, content string) {
	t.Helper()
	secret.AddConfig(content)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
