package test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/test/daemon"
	"github.com/hsmpki/hsmpki/test/softhsm"
	"github.com/hsmpki/hsmpki/wire"
)

// endless is a message that begins well and does not end.
type endless struct {
	begin io.Reader
	begun chan<- struct{} // told once, when begin has been read
	stop  <-chan struct{}
}

func (e *endless) Read(p []byte) (int, error) {
	if n, err := e.begin.Read(p); err == nil {
		return n, nil
	}
	if e.begun != nil {
		e.begun <- struct{}{}
		e.begun = nil
	}
	<-e.stop
	return 0, errors.New("stopped")
}

// TestHSMDEndlessMessages: long messages that do not end take a bounded part of
// hsmd's memory, the more so those that it has to hold whole, and nobody is kept
// from signing.
func TestHSMDEndlessMessages(t *testing.T) {
	token := softhsm.New(t)
	h := daemon.NewHSMD(t, daemon.Libraries(token.Store)+daemon.WireKeys+daemon.InternalKeys(token))
	h.Start()
	s := newSigner(t, &daemon.Pair{Token: token, HSMD: h})
	t.Run("held", func(t *testing.T) {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		endlessMessages(t, h, s, wire.KeyEd25519, wire.Ed25519, revocationList(t, key), 4)
	})
	t.Run("hashed", func(t *testing.T) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		endlessMessages(t, h, s, wire.KeyP256, wire.ECDSAP256SHA256, revocationList(t, key), 16)
	})
}

// endlessMessages has as many messages under way as one user may, over as many
// connections, none of which ends.
func endlessMessages(t *testing.T, h *daemon.HSMD, s *signer, kind wire.KeyType, scheme wire.SignatureScheme, list []byte, most int) {
	tbs := tbsCertificate(t, s)
	made, err := s.Generate(t.Context(), &wire.GenerateRequest{ID: "endless-" + strings.ToLower(string(kind)), Type: kind})
	if err != nil {
		t.Fatal(err)
	}
	spki := sha256.Sum256(made.Key.PublicKey)
	request := func(parts io.Reader) *wire.SignRequest {
		return &wire.SignRequest{Key: made.Key.Definition.Name, SPKI: spki[:], Scheme: scheme, Parts: parts}
	}
	if _, err := s.Sign(t.Context(), request(bytes.NewReader(list))); err != nil {
		t.Fatalf("a long revocation list: %v", err)
	}

	stop, begun, ended := make(chan struct{}), make(chan struct{}, most), make(chan error, most)
	for range most {
		c := wireClient(t, h.Socket)
		go func() {
			_, err := c.Sign(context.Background(), request(&endless{bytes.NewReader(list[:len(list)-100]), begun, stop}))
			ended <- err
		}()
	}
	for range most {
		select {
		case <-begun:
		case err := <-ended:
			t.Fatalf("one of the first: %v", err)
		}
	}
	if _, err := wireClient(t, h.Socket).Sign(t.Context(), request(bytes.NewReader(list))); !errors.Is(err, wire.Busy) {
		t.Errorf("one more: %v, want busy", err)
	}
	if err := s.ask(func(r *wire.SignRequest) { r.Message = tbs }); err != nil {
		t.Errorf("meanwhile, a certificate: %v", err)
	}
	close(stop)
	for range most {
		if err := <-ended; err == nil {
			t.Error("a message without an end was signed")
		}
	}
	// They are forgotten as soon as hsmd hears of it.
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, err = s.Sign(t.Context(), request(bytes.NewReader(list))); err == nil || time.Now().After(end) {
			break
		}
	}
	if err != nil {
		t.Errorf("after that: %v", err)
	}
}

// revocationList makes the to-be-signed bytes of a CRL for a key of this kind,
// longer than what a client may send before hsmd reads.
func revocationList(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	issuer := &x509.Certificate{Subject: pkix.Name{CommonName: "R"}, SubjectKeyId: []byte{1}, KeyUsage: x509.KeyUsageCRLSign, IsCA: true}
	list := &x509.RevocationList{Number: big.NewInt(time.Now().UnixMicro()), ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour)}
	for range 5000 {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: serial(t), RevocationTime: time.Now()})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, issuer, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseRevocationList(der)
	if err != nil {
		t.Fatal(err)
	}
	if most := (wire.PartWindow + 1) * wire.MaxPart; len(parsed.RawTBSRevocationList) < most {
		t.Fatalf("a list of %d octets, want %d", len(parsed.RawTBSRevocationList), most)
	}
	return parsed.RawTBSRevocationList
}
