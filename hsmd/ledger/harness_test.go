package ledger_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hsmpki/hsmpki/hsmd/ledger"
)

var (
	now  = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	soon = now.Add(time.Hour)
	past = now.Add(-time.Hour)
)

// memory is a ledger in a test.
type memory struct {
	t testing.TB
	*ledger.Ledger
	cfg ledger.Config
	ca  ledger.Issuer
}

func start(t testing.TB) *memory {
	t.Helper()
	m := &memory{t: t, cfg: ledger.Config{Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)}, ca: issuer(t, "Example Root")}
	m.open()
	return m
}

func (m *memory) open() {
	m.t.Helper()
	l, err := ledger.Open(m.cfg)
	if err != nil {
		m.t.Fatal(err)
	}
	m.Ledger = l
	m.t.Cleanup(func() {
		if m.Ledger == l {
			l.Close()
		}
	})
}

func (m *memory) restart() {
	m.t.Helper()
	if err := m.Close(); err != nil {
		m.t.Fatal(err)
	}
	m.Ledger = nil
	m.open()
}

func issuer(t testing.TB, cn string) ledger.Issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return ledger.NewIssuer(name(t, cn), spki)
}

func name(t testing.TB, cn string) []byte {
	t.Helper()
	der, err := asn1.Marshal(pkix.Name{CommonName: cn}.ToRDNSequence())
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// serial gives the contents octets of a number, spread over 20 octets as those
// of a CA are.
func serial(n int) []byte {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(n)))
	sum[0] &= 0x7f
	sum[0] |= 1
	return sum[:20]
}

func sum(text string) ledger.Sum { return sha256.Sum256([]byte(text)) }

func (m *memory) issue(n int, notAfter time.Time, text string) error {
	return m.Issue(m.ca, serial(n), notAfter, sum(text), false)
}

// list has a CRL judged that revokes the serials; base 0 is a complete one.
func (m *memory) list(number, base uint64, serials ...[]byte) error {
	return m.listBy(m.ca, number, base, fmt.Sprint(number, base, serials), serials...)
}

func (m *memory) listBy(i ledger.Issuer, number, base uint64, text string, serials ...[]byte) error {
	x := m.NewList(i.SPKI, now)
	defer x.Close()
	for _, s := range serials {
		if err := x.Entry(i.Name, s, 0); err != nil {
			return err
		}
	}
	n := ledger.Numbering{Number: number}
	if base != 0 {
		n.Base = &base
	}
	return x.Claim(i.Name, n, sum(text), false)
}

// certID is the one that OpenSSL makes: with SHA-1.
func (m *memory) good(n int) error { return m.Good(certID(m.t, m.ca, n), false) }

// mustAll fails on the first error.
func (m *memory) mustAll(errs ...error) {
	m.t.Helper()
	if err := errors.Join(errs...); err != nil {
		m.t.Fatal(err)
	}
}

// refused wants a refusal by a rule, with a piece of its text.
func refused(t testing.TB, err error, rule ledger.Rule, piece string) {
	t.Helper()
	r, ok := errors.AsType[*ledger.Refusal](err)
	if !ok || r.Rule != rule || !strings.Contains(r.Error(), piece) {
		t.Errorf("got %v, want a refusal by %q with %q", err, rule, piece)
	}
}

func crashable(m *memory) *vfs.MemFS {
	fs := vfs.NewCrashableMem()
	m.cfg.FS, m.cfg.Dir = fs, "ledger"
	return fs
}

func octets(n int64) []byte { return big.NewInt(n).Bytes() }
