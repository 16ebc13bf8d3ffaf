package server_test

import (
	"cmp"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"crypto/x509/pkix"

	"github.com/hsmpki/hsmpki/config"
	"github.com/hsmpki/hsmpki/hsmd/approval"
	"github.com/hsmpki/hsmpki/hsmd/auditlog"
	"github.com/hsmpki/hsmpki/hsmd/constraint"
	"github.com/hsmpki/hsmpki/hsmd/grant"
	"github.com/hsmpki/hsmpki/hsmd/ledger"
	"github.com/hsmpki/hsmpki/hsmd/managedkey"
	"github.com/hsmpki/hsmpki/hsmd/server"
	"github.com/hsmpki/hsmpki/test/secret"
	"github.com/hsmpki/hsmpki/wire"
	"github.com/hsmpki/hsmpki/wire/unixsock"
)

// Users of the tests. own is hsmd's.
const own, pkid, other = 900, 901, 902

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// hsmd is one server with its token.
type hsmd struct {
	t         *testing.T
	srv       *server.Server
	store     *managedkey.Store
	audit     *auditlog.Log
	ledger    *ledger.Ledger
	limiter   *constraint.Limiter
	ledgerDir string // empty: dir
	token     *token
	log       *secret.Log
	dir       string
	config    *config.HSMD
}

const everything = `
kms_library "pkcs11" {
  name    = "Soft"
  library = "/lib/soft.so"
}
wire_keys { libraries = ["soft"] }
internal_keys {
  library     = "soft"
  token_label = "ca"
  pin         = "pin-1234"
}
managed_key "pkcs11" "root" {
  library            = "soft"
  token_label        = "ca"
  pin                = "pin-1234"
  key_label          = "root"
  mechanism          = "0x1041"
  curve              = "P256"
  allow_generate_key = true
}
`

// start makes a server of a configuration; what build does in hsmd's main, it
// does with the token in the worker's place.
func start(t *testing.T, text string) *hsmd {
	t.Helper()
	cfg, err := config.ParseHSMD("hsmd.hcl", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	h := &hsmd{t: t, token: newToken("ca"), log: secret.NewLog(t, "hsmd"), dir: t.TempDir(), config: cfg}
	secret.AddConfig(text)
	t.Cleanup(func() { secret.LookIn(t, h.dir, func(string) bool { return false }) })
	h.open()
	return h
}

// open opens the state and makes a server of it; called again it is a restart.
func (h *hsmd) open() {
	h.t.Helper()
	log := slog.New(slog.NewTextHandler(h.log, nil))
	store, err := managedkey.Open(managedkey.Config{Dir: h.dir, Key: "0123456789abcdef", Log: log})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { store.Close() })
	h.openAudit(log)
	h.openLedger(log)
	table, err := grant.NewTable(h.config.Clients, own)
	if err != nil {
		h.t.Fatal(err)
	}
	built, err := managedkey.Build(h.config, managedkey.Sources{Stored: store.Records(),
		Backend: func(*config.Library) wire.Service { return h.token }})
	if err != nil {
		h.t.Fatal(err)
	}
	state := &server.State{Grants: table, Constraints: h.constraints(), Approval: h.approval(), Built: *built}
	h.store = store
	waiting, err := approval.Open(filepath.Join(h.dir, "approvals"), func() time.Time { return now })
	if err != nil {
		h.t.Fatal(err)
	}
	h.srv, err = server.New(server.Config{State: state, Store: store, Audit: h.audit, Ledger: h.ledger, Limiter: h.limiter, Approvals: waiting, Version: "test", Log: log, Now: func() time.Time { return now }})
	if err != nil {
		h.t.Fatal(err)
	}
}

// constraints makes the sets of the configuration.
func (h *hsmd) constraints() server.Constraints {
	h.t.Helper()
	c := server.Constraints{Keys: map[string]*constraint.Set{}}
	for _, k := range h.config.ManagedKeys {
		if k.Constraints != nil {
			c.Keys[k.Name] = must[*constraint.Set](h.t)(constraint.New(k.Name, k.Constraints, nil))
		}
	}
	if w := h.config.WireKeys; w != nil && w.Constraints != nil {
		c.Wire = must[*constraint.Set](h.t)(constraint.New("wire_keys", w.Constraints, nil))
	}
	return c
}

// approval makes the rules of the configuration, of which all approvers are.
func (h *hsmd) approval() server.Approval {
	h.t.Helper()
	a := server.Approval{Keys: map[string]*approval.Rule{}}
	var people []*approval.Approver
	for _, c := range h.config.Approvers {
		people = append(people, must[*approval.Approver](h.t)(approval.NewApprover(c.Name, c.Keys)))
	}
	for _, k := range h.config.ManagedKeys {
		if c := k.Approval; c != nil {
			a.Keys[k.Name] = must[*approval.Rule](h.t)(approval.NewRule(approval.Rule{Quorum: c.Quorum, Kinds: c.Sign, Wait: c.Expires.Std(), Approvers: people}))
		}
	}
	return a
}

// openAudit opens the log of signatures, which ends with the test or a restart.
func (h *hsmd) openAudit(log *slog.Logger) {
	h.t.Helper()
	if h.audit != nil {
		if err := h.audit.Close(); err != nil {
			h.t.Fatal(err)
		}
	}
	h.audit = openLog(h.t, h.dir, log, func() time.Time { return now })
}

// openLedger opens the ledger, which ends with the test or a restart, and brings
// it up to the log.
func (h *hsmd) openLedger(log *slog.Logger) {
	h.t.Helper()
	if h.ledger != nil {
		if err := h.ledger.Close(); err != nil {
			h.t.Fatal(err)
		}
	}
	h.limiter = &constraint.Limiter{}
	h.ledger = openMemory(h.t, cmp.Or(h.ledgerDir, h.dir), log, h.audit, h.limiter)
}

// openMemory opens a ledger for a test.
func openMemory(t *testing.T, dir string, log *slog.Logger, audit *auditlog.Log, counted *constraint.Limiter) *ledger.Ledger {
	t.Helper()
	opened, err := ledger.Open(ledger.Config{Dir: filepath.Join(dir, "ledger"), Log: log, Replayed: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { opened.Close() })
	if err := server.Replay(opened, audit, counted); err != nil {
		t.Fatal(err)
	}
	return opened
}

// openLog opens a log of signatures for a test.
func openLog(t *testing.T, dir string, log *slog.Logger, clock func() time.Time) *auditlog.Log {
	t.Helper()
	opened, err := auditlog.Open(auditlog.Config{Path: filepath.Join(dir, "audit.log"), Checkpoints: filepath.Join(dir, "audit-checkpoint"),
		Seed: make([]byte, 32), Version: "test", Log: log, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := opened.Close(); err != nil {
			t.Error(err)
		}
	})
	return opened
}

func (h *hsmd) restart() {
	h.t.Helper()
	h.store.Close()
	h.open()
}

// as is the server as a user sees it.
func (h *hsmd) as(uid uint32) wire.Service {
	return h.srv.For(unixsock.Peer{UID: uid, GID: uid, PID: 1})
}

// dial is the server as hsmd's own process sees it through a socket.
func (h *hsmd) dial() *wire.Client {
	h.t.Helper()
	path := filepath.Join(h.t.TempDir(), "s")
	l, err := unixsock.Listen(unixsock.Config{Path: path})
	if err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- h.srv.Serve(ctx, l) }()
	conn, err := net.Dial("unix", path)
	if err != nil {
		h.t.Fatal(err)
	}
	client, err := wire.NewClient(conn, wire.ClientConfig{Software: "test"})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() {
		client.Close()
		cancel()
		if err := <-served; err != nil {
			h.t.Error(err)
		}
	})
	return client
}

// give puts a key on the token.
func (h *hsmd) give(label, curve string) crypto.Signer {
	key := newKey(&wire.PKCS11Definition{Curve: curve, KeyBits: 2048})
	h.token.mu.Lock()
	defer h.token.mu.Unlock()
	h.token.keys[label] = key
	return key
}

func spkiID(t *testing.T, public crypto.PublicKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	id := sha256.Sum256(der)
	return id[:]
}

// made counts messages by the name of a test, in which none has another's serial
// or CRL number.
var made sync.Map

// messages gives a TBSCertificate and a TBSCertList for a scheme.
func messages(t *testing.T, algorithm x509.SignatureAlgorithm, key crypto.Signer, notBefore time.Time) (certificate, list []byte) {
	t.Helper()
	count, _ := made.LoadOrStore(t.Name(), new(atomic.Int64))
	n := count.(*atomic.Int64).Add(1)
	template := &x509.Certificate{SerialNumber: big.NewInt(76 + n), Subject: pkix.Name{CommonName: "Test"}, SignatureAlgorithm: algorithm,
		NotBefore: notBefore, NotAfter: notBefore.AddDate(1, 0, 0), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCRLSign, SubjectKeyId: []byte{1}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	entries := make([]x509.RevocationListEntry, 3000)
	for i := range entries {
		entries[i] = x509.RevocationListEntry{SerialNumber: big.NewInt(int64(i + 1000)), RevocationTime: notBefore}
	}
	der, err = x509.CreateRevocationList(rand.Reader, &x509.RevocationList{SignatureAlgorithm: algorithm, Number: big.NewInt(n),
		ThisUpdate: notBefore, NextUpdate: notBefore.AddDate(0, 0, 3), RevokedCertificateEntries: entries}, cert, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseRevocationList(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert.RawTBSCertificate, parsed.RawTBSRevocationList
}

func throwaway(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// want checks an error's code and a piece of its message.
func want(t *testing.T, err error, code wire.Code, piece string) {
	t.Helper()
	if !errors.Is(err, code) || !strings.Contains(err.Error(), piece) {
		t.Errorf("got %v, want %v with %q", err, code, piece)
	}
	if err != nil && strings.Contains(err.Error(), "pin-1234") {
		t.Errorf("the PIN stands in %q", err)
	}
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

var _ io.Reader = (*slow)(nil)

// uid is the user that runs the tests, who is at the other end of a socket.
func uid() string { return strconv.Itoa(os.Getuid()) }

// state makes another state of the same parts.
func (h *hsmd) state() *server.State {
	h.t.Helper()
	table, err := grant.NewTable(h.config.Clients, uint32(os.Getuid()))
	if err != nil {
		h.t.Fatal(err)
	}
	built, err := managedkey.Build(h.config, managedkey.Sources{
		Backend: func(*config.Library) wire.Service { return h.token }})
	if err != nil {
		h.t.Fatal(err)
	}
	return &server.State{Grants: table, Constraints: h.constraints(), Built: *built}
}
