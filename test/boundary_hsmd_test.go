package test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/test/check"
	"github.com/hsmpki/hsmpki/test/daemon"
	"github.com/hsmpki/hsmpki/test/softhsm"
	"github.com/hsmpki/hsmpki/wire"
)

// The tests of this file are what somebody who owns pkid would try on hsmd.

func dial(t *testing.T, socket string) net.Conn {
	t.Helper()
	for {
		conn, err := net.Dial("unix", socket)
		if errors.Is(err, syscall.EAGAIN) {
			time.Sleep(time.Millisecond) // the queue of connections to be accepted is full
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
}

func wireClient(t *testing.T, socket string) *wire.Client {
	t.Helper()
	c, err := wire.NewClient(dial(t, socket), wire.ClientConfig{Software: "boundary test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// signer is a key in hsmd as its attacker sees it.
type signer struct {
	*wire.Client
	name   string
	public *ecdsa.PublicKey
	spki   [32]byte
}

func newSigner(t *testing.T, p *daemon.Pair) *signer {
	t.Helper()
	c := wireClient(t, p.HSMD.Socket)
	defineOver(t, c, p.Token, "ca")
	return signerOf(t, c, "ca")
}

// signerOf has a key made that is not there yet.
func signerOf(t *testing.T, c *wire.Client, name string) *signer {
	t.Helper()
	made, err := c.Generate(t.Context(), &wire.GenerateRequest{Key: name, ID: "boundary"})
	if err != nil {
		t.Fatalf("key %q: %v", name, err)
	}
	key, err := x509.ParsePKIXPublicKey(made.Key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return &signer{c, name, key.(*ecdsa.PublicKey), sha256.Sum256(made.Key.PublicKey)}
}

// startHSMD is daemon.Start without a pkid: here the test is the client.
func startHSMD(t *testing.T) *daemon.Pair {
	t.Helper()
	token := softhsm.New(t)
	h := daemon.NewHSMD(t, daemon.Libraries(token.Store)+daemon.WireKeys)
	h.Start()
	return &daemon.Pair{Token: token, HSMD: h}
}

func p256(token *softhsm.Token, name, pin string) wire.Definition {
	return wire.Definition{Type: "pkcs11", Name: name, AllowGenerateKey: true, AnyMount: true, Usages: []string{"sign", "verify"},
		PKCS11: &wire.PKCS11Definition{Library: "softhsm", TokenLabel: token.Label, PIN: pin, KeyLabel: name, Mechanism: 0x1041, Curve: "P256"}}
}

func defineOver(t *testing.T, c *wire.Client, token *softhsm.Token, name string) {
	t.Helper()
	if _, err := c.Configure(t.Context(), &wire.ConfigureRequest{Definition: p256(token, name, token.PIN)}); err != nil {
		t.Fatal(err)
	}
}

func (s *signer) ask(change func(*wire.SignRequest)) error {
	req := &wire.SignRequest{Key: s.name, SPKI: s.spki[:], Scheme: wire.ECDSAP256SHA256, Context: "boundary"}
	change(req)
	_, err := s.Sign(context.Background(), req)
	return err
}

// tbsCertificate makes the to-be-signed bytes of a certificate for hsmd's key.
func tbsCertificate(t *testing.T, s *signer) []byte {
	t.Helper()
	csr, err := x509.ParseCertificateRequest(decode(t, request(t, "www.example.com")))
	if err != nil {
		t.Fatal(err)
	}
	throwaway, err := ecdsa.GenerateKey(s.public.Curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{SerialNumber: serial(t), Subject: csr.Subject, DNSNames: csr.DNSNames, NotBefore: now.Add(-time.Minute), NotAfter: now.Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, csr.PublicKey, throwaway)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert.RawTBSCertificate
}

// TestHSMDSignsOnlyTheFourKinds sends what is none of them, and what is nearly
// one.
func TestHSMDSignsOnlyTheFourKinds(t *testing.T) {
	p := startHSMD(t)
	s := newSigner(t, p)
	tbs := tbsCertificate(t, s)
	if err := s.ask(func(r *wire.SignRequest) { r.Message = tbs }); err != nil {
		t.Fatalf("a certificate is refused: %v", err)
	}
	digest := sha256.Sum256(tbs)
	other := sha256.Sum256([]byte("another key"))
	flipped := bytes.Clone(tbs)
	flipped[1] ^= 0x40
	for _, c := range []struct {
		what   string
		change func(*wire.SignRequest)
		code   wire.Code
	}{
		{"text", func(r *wire.SignRequest) { r.Message = []byte("Please sign this.") }, wire.Denied},
		{"nothing", func(*wire.SignRequest) {}, wire.Denied},
		{"a digest in place of the message", func(r *wire.SignRequest) { r.Digest = digest[:] }, wire.Denied},
		{"a digest beside the message", func(r *wire.SignRequest) { r.Message, r.Digest = tbs, digest[:] }, wire.Denied},
		{"the digest as the message", func(r *wire.SignRequest) { r.Message = digest[:] }, wire.Denied},
		{"a certificate with an octet behind it", func(r *wire.SignRequest) { r.Message = append(bytes.Clone(tbs), 0) }, wire.Denied},
		{"a certificate without its last octet", func(r *wire.SignRequest) { r.Message = tbs[:len(tbs)-1] }, wire.Denied},
		{"a certificate with another length", func(r *wire.SignRequest) { r.Message = flipped }, wire.Denied},
		{"a certificate for another scheme", func(r *wire.SignRequest) { r.Message, r.Scheme = tbs, wire.ECDSAP384SHA384 }, wire.Invalid},
		{"a scheme that does not exist", func(r *wire.SignRequest) { r.Message, r.Scheme = tbs, 0x0201 }, wire.Invalid},
		{"hsmd's own test message", func(r *wire.SignRequest) { r.Message = append(bytes.Repeat([]byte(" "), 64), "hsmd test\x00random"...) }, wire.Denied},
		{"TLS 1.3's CertificateVerify", func(r *wire.SignRequest) {
			r.Message = append(bytes.Repeat([]byte(" "), 64), "TLS 1.3, server CertificateVerify\x00"+string(digest[:])...)
		}, wire.Denied},
		{"garbage in parts", func(r *wire.SignRequest) { r.Parts = strings.NewReader(strings.Repeat("garbage ", 50_000)) }, wire.Denied},
		{"another key's SPKI", func(r *wire.SignRequest) { r.Message, r.SPKI = tbs, other[:] }, wire.KeyChanged},
		{"no SPKI", func(r *wire.SignRequest) { r.Message, r.SPKI = tbs, nil }, wire.Invalid},
		{"an unknown key", func(r *wire.SignRequest) { r.Message, r.Key = tbs, "none" }, wire.UnknownKey},
		{"a key without a name", func(r *wire.SignRequest) { r.Message, r.Key = tbs, "" }, wire.UnknownKey},
	} {
		err := s.ask(c.change)
		if !errors.Is(err, c.code) && !(c.code == wire.Denied && errors.Is(err, wire.Invalid)) {
			t.Errorf("%s: %v, want %v", c.what, err, c.code)
		}
	}
	if err := s.ask(func(r *wire.SignRequest) { r.Message = tbs }); err != nil {
		t.Errorf("after all that a certificate is refused: %v", err)
	}
}

// TestHSMDGuardsItsOwn asks for what only hsmd may ask of its workers, and for
// a file that only hsmd may read.
func TestHSMDGuardsItsOwn(t *testing.T) {
	p := startHSMD(t)
	c := wireClient(t, p.HSMD.Socket)
	_, err := c.Configure(t.Context(), &wire.ConfigureRequest{Definition: p256(p.Token, "evil", p.Token.PIN), Worker: &wire.WorkerConfig{Library: "/tmp/evil.so"}})
	if !errors.Is(err, wire.Invalid) && !errors.Is(err, wire.Denied) {
		t.Errorf("a worker's configuration from a client: %v", err)
	}

	// The file has the right PIN: a login that succeeds would have read it.
	file := filepath.Join(t.TempDir(), "pin")
	if err := os.WriteFile(file, []byte(p.Token.PIN), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Configure(t.Context(), &wire.ConfigureRequest{Definition: p256(p.Token, "byfile", "file:"+file)}); err == nil {
		_, err = c.Generate(t.Context(), &wire.GenerateRequest{Key: "byfile", ID: "byfile"})
		if !errors.Is(err, wire.LoginRefused) {
			t.Errorf("a PIN by reference over the wire: %v, want login refused", err)
		}
	}

	defineOver(t, c, p.Token, "plain")
	all, err := c.Describe(t.Context(), &wire.DescribeRequest{})
	if err != nil || len(all.Keys) == 0 {
		t.Fatalf("describe: %v, %v", all, err)
	}
	for _, k := range all.Keys {
		if k.Definition.PKCS11.PIN != "" {
			t.Errorf("describe gives the PIN of %s", k.Definition.Name)
		}
	}
	check.NoSecrets(t, p)
}

// TestHSMDClientBlocks gives the test's own user sign alone, on one key.
func TestHSMDClientBlocks(t *testing.T) {
	p := startHSMD(t)
	s := newSigner(t, p)
	tbs := tbsCertificate(t, s)
	defineOver(t, s.Client, p.Token, "other")
	p.HSMD.Write(t, daemon.Libraries(p.Token.Store)+daemon.WireKeys+fmt.Sprintf(`
client "test" {
  user         = %d
  capabilities = ["sign"]
  keys         = ["ca"]
}`, os.Getuid()))
	p.HSMD.Restart()
	c := wireClient(t, p.HSMD.Socket)
	if _, err := c.Sign(t.Context(), &wire.SignRequest{Key: "ca", SPKI: s.spki[:], Scheme: wire.ECDSAP256SHA256, Message: tbs}); err != nil {
		t.Errorf("sign with what is allowed: %v", err)
	}
	denied := map[string]func() error{
		"sign with another key": func() error {
			_, err := c.Sign(t.Context(), &wire.SignRequest{Key: "other", SPKI: s.spki[:], Scheme: wire.ECDSAP256SHA256, Message: tbs})
			return err
		},
		"generate": func() error {
			_, err := c.Generate(t.Context(), &wire.GenerateRequest{Key: "ca", ID: "x"})
			return err
		},
		"test": func() error { _, err := c.Test(t.Context(), &wire.TestRequest{Key: "ca"}); return err },
		"configure": func() error {
			_, err := c.Configure(t.Context(), &wire.ConfigureRequest{Definition: p256(p.Token, "n", p.Token.PIN)})
			return err
		},
		"forget": func() error { _, err := c.Forget(t.Context(), &wire.ForgetRequest{Key: "ca"}); return err },
	}
	for what, ask := range denied {
		if err := ask(); !errors.Is(err, wire.Denied) {
			t.Errorf("%s: %v, want denied", what, err)
		}
	}
	if _, err := c.Status(t.Context(), &wire.StatusRequest{}); err != nil {
		t.Errorf("status goes with any capability: %v", err)
	}
}

// TestCase41_Stranger dials as a user that no client block names: the connection
// is cut without an octet.
func TestCase41_Stranger(t *testing.T) {
	token := softhsm.New(t)
	h := daemon.NewHSMD(t, daemon.Libraries(token.Store)+`
client "nobody" {
  user         = 4294967
  capabilities = ["sign"]
}`)
	h.Start()
	conn, err := dialAs(t, 65534, h.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	got, err := io.ReadAll(conn)
	if len(got) > 0 || err != nil && errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a stranger read %q, %v; want the end of the connection", got, err)
	}
}

// TestCase41_Garbage sends what is not the protocol; each costs its sender the
// connection, and nobody else anything.
func TestCase41_Garbage(t *testing.T) {
	t.Parallel()
	p := startHSMD(t)
	s := newSigner(t, p)
	tbs := tbsCertificate(t, s)
	for what, octets := range map[string][]byte{
		"HTTP":              []byte("GET /v1/sys/health HTTP/1.1\r\nHost: x\r\n\r\n"),
		"zeros":             make([]byte, 4096),
		"an enormous frame": append([]byte{0xff, 0xff, 0xff, 0xff}, make([]byte, 1<<16)...),
		"half a frame":      {0, 0, 0, 64, 0xa3},
		"CBOR garbage":      append([]byte{0, 0, 0, 8}, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
		"deep CBOR":         append([]byte{0, 0, 3, 0}, bytes.Repeat([]byte{0x81}, 0x300)...),
		"silence":           nil,
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			conn := dial(t, p.HSMD.Socket)
			conn.SetDeadline(time.Now().Add(30 * time.Second))
			conn.Write(octets)
			_, err := io.Copy(io.Discard, conn)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the connection is still open after 30 s")
			}
			if err := s.ask(func(r *wire.SignRequest) { r.Message = tbs }); err != nil {
				t.Errorf("meanwhile, another client: %v", err)
			}
		})
	}
}

// TestCase41_ManyConnections opens many that say nothing: who was there before is
// served, and so is everybody once they have been cut off.
func TestCase41_ManyConnections(t *testing.T) {
	t.Parallel()
	p := startHSMD(t)
	early := wireClient(t, p.HSMD.Socket)
	for range 300 {
		dial(t, p.HSMD.Socket)
	}
	if _, err := early.Status(t.Context(), &wire.StatusRequest{}); err != nil {
		t.Errorf("who was there before: %v", err)
	}
	var err error
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		var late *wire.Client
		if late, err = wire.NewClient(dial(t, p.HSMD.Socket), wire.ClientConfig{}); err == nil {
			_, err = late.Status(t.Context(), &wire.StatusRequest{})
			late.Close()
			break
		}
	}
	if err != nil {
		t.Errorf("30 s later: %v", err)
	}
}

// TestNoCoreFiles: neither daemon nor a worker may leave its memory on a disk.
func TestNoCoreFiles(t *testing.T) {
	p := daemon.Start(t)
	ca(t, p)
	pids := append(p.HSMD.WorkerPIDs(), p.HSMD.PID(), p.PKID.PID())
	if len(pids) != 3 {
		t.Errorf("processes %v, want two daemons and a worker", pids)
	}
	for _, pid := range pids {
		limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
		if err != nil {
			t.Fatal(err)
		}
		if !regexp.MustCompile(`Max core file size +0 +0 `).Match(limits) {
			t.Errorf("process %d may write core files:\n%s", pid, limits)
		}
	}
}
