package server_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"crypto/x509/pkix"

	"github.com/hsmpki/hsmpki/hsmd/constraint"
	"github.com/hsmpki/hsmpki/hsmd/server"
	"github.com/hsmpki/hsmpki/wire"
)

// authority is whoever has taken over a CA that signs with "root": it makes what
// it likes and has it signed.
type authority struct {
	h    *hsmd
	key  crypto.Signer
	cert *x509.Certificate
	leaf crypto.Signer // whose certificates it makes
}

func (h *hsmd) authority() *authority {
	a := &authority{h: h, key: h.give("root", "P256"), leaf: throwaway(h.t)}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Root"}, NotBefore: now, NotAfter: now.AddDate(9, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCRLSign, SubjectKeyId: []byte{1}}
	a.cert = must[*x509.Certificate](h.t)(x509.ParseCertificate(must[[]byte](h.t)(x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key))))
	return a
}

func (a *authority) sign(message []byte) error {
	for _, parts := range []bool{false, true} { // the same bytes twice, too
		req := &wire.SignRequest{Key: "root", SPKI: spkiID(a.h.t, a.key.Public()), Scheme: wire.ECDSAP256SHA256, Message: message}
		if parts {
			req.Message, req.Parts = nil, bytes.NewReader(message)
		}
		if _, err := a.h.as(own).Sign(context.Background(), req); err != nil {
			return err
		}
	}
	return nil
}

func (a *authority) issue(serial int64, cn string) error {
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: cn}, NotBefore: now, NotAfter: now.AddDate(0, 0, 1)}
	der := must[[]byte](a.h.t)(x509.CreateCertificate(rand.Reader, template, a.cert, a.leaf.Public(), a.key))
	return a.sign(must[*x509.Certificate](a.h.t)(x509.ParseCertificate(der)).RawTBSCertificate)
}

// entry is a revoked serial, with a reason if there is one.
type entry struct{ serial, reason int }

func (a *authority) list(number, base int64, entries ...entry) error {
	list := &x509.RevocationList{Number: big.NewInt(number), ThisUpdate: now, NextUpdate: now.AddDate(0, 0, 3)}
	for _, e := range entries {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: big.NewInt(int64(e.serial)), ReasonCode: e.reason, RevocationTime: now})
	}
	if base > 0 {
		value := must[[]byte](a.h.t)(asn1.Marshal(base))
		list.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 27}, Critical: true, Value: value}}
	}
	der := must[[]byte](a.h.t)(x509.CreateRevocationList(rand.Reader, list, a.cert, a.key))
	return a.sign(must[*x509.RevocationList](a.h.t)(x509.ParseRevocationList(der)).RawTBSRevocationList)
}

func (a *authority) answer(serial int64, status int) error {
	der := must[[]byte](a.h.t)(ocsp.CreateResponse(a.cert, a.cert, ocsp.Response{Status: status, SerialNumber: big.NewInt(serial), ThisUpdate: now,
		NextUpdate: now.Add(time.Hour), RevokedAt: now, IssuerHash: crypto.SHA1}, a.key))
	message := must[*ocsp.Response](a.h.t)(ocsp.ParseResponse(der, nil)).TBSResponseData
	// The first time is producedAt, which is the real clock's.
	copy(message[bytes.Index(message, []byte{0x18, 15})+2:], now.Format("20060102150405Z"))
	return a.sign(message)
}

// What was signed binds whoever signs next, after a restart, and where the
// ledger was lost and the log is all there is.
func TestWhatWasSignedBinds(t *testing.T) {
	h := start(t, everything)
	a := h.authority()
	tell := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	tell(a.issue(5, "five"))
	tell(a.issue(6, "six"))
	tell(a.list(3, 0))
	tell(a.answer(5, ocsp.Good))
	tell(a.answer(5, ocsp.Revoked))
	tell(a.answer(99, ocsp.Unknown))
	tell(a.list(4, 0, entry{5, 0}, entry{2000, 1}))
	tell(a.list(5, 4, entry{6, 1}))
	number := int64(6)
	for _, restart := range []func(){func() {}, h.restart, h.loseLedger} {
		restart()
		want(t, a.issue(6, "another"), wire.Denied, "the certificate to be signed has the serial number 06 of another certificate")
		want(t, a.issue(2000, "revoked before it was issued"), wire.Denied, "07:d0, which is revoked")
		want(t, a.answer(99, ocsp.Good), wire.Denied, "which the ledger does not know as issued")
		want(t, a.answer(5, ocsp.Good), wire.Denied, "was revoked in CRL number 4")
		want(t, a.answer(6, ocsp.Good), wire.Denied, "was revoked in CRL number 5")
		want(t, a.list(4, 0, entry{5, 0}, entry{6, 0}, entry{2000, 0}), wire.Denied, fmt.Sprintf("had %d", number-1))
		want(t, a.list(number-1, 0, entry{5, 0}, entry{6, 0}, entry{2000, 0}, entry{7, 0}), wire.Denied, "the last CRL of the issuer CN=Root")
		want(t, a.list(number, 0, entry{5, 0}, entry{2000, 0}), wire.Denied, "leaves out serial number 06, which was revoked in CRL number 5")
		want(t, a.list(number, 3, entry{6, 0}, entry{2000, 0}), wire.Denied, "leaves out serial number 05")
		want(t, a.list(number, 4, entry{6, 8}), wire.Denied, "takes the revocation of serial number 06 back (removeFromCRL) (that would need approval)")
		want(t, a.list(number, 0), wire.Denied, "leaves out")
		tell(a.list(number, 0, entry{2000, 0}, entry{6, 1}, entry{5, 0}))
		tell(a.issue(6, "six"))
		number++
	}
}

// loseLedger is a restart with an empty ledger.
func (h *hsmd) loseLedger() {
	h.t.Helper()
	h.store.Close()
	h.ledgerDir = h.t.TempDir()
	h.open()
	if !h.ledger.Fresh() {
		h.t.Error("the ledger was not lost")
	}
}

func (h *hsmd) replace(next *server.State) {
	h.t.Helper()
	if err := h.srv.Replace(ctx, func(*server.State) (*server.State, error) { return next, nil }); err != nil {
		h.t.Fatal(err)
	}
}

func TestUnrecordedGood(t *testing.T) {
	h := start(t, everything)
	a := h.authority()
	if err := errors.Join(a.issue(5, "five"), a.list(1, 0, entry{5, 0})); err != nil {
		t.Fatal(err)
	}
	state := h.srv.State()
	next, later := *state, *state
	next.UnrecordedGoodUntil = now.Add(time.Minute)
	h.replace(&next)
	if err := a.answer(99, ocsp.Good); err != nil {
		t.Error(err)
	}
	want(t, a.answer(5, ocsp.Good), wire.Denied, "was revoked")
	later.UnrecordedGoodUntil = now
	h.replace(&later)
	want(t, a.answer(99, ocsp.Good), wire.Denied, "unrecorded_good_until")
}

// Of two certificates that ask for one serial at once, one is signed.
func TestOneSerialAtOnce(t *testing.T) {
	h := start(t, everything)
	a := h.authority()
	var signed atomic.Int32
	var running sync.WaitGroup
	for i := range 8 {
		running.Go(func() {
			if a.issue(50, fmt.Sprint(i)) == nil {
				signed.Add(1)
			}
		})
	}
	running.Wait()
	if signed.Load() != 1 {
		t.Errorf("%d certificates have serial number 50", signed.Load())
	}
}

// A ledger that has seen more than the log has belongs to another.
func TestLedgerAheadOfLog(t *testing.T) {
	h := start(t, everything)
	if err := h.ledger.Mark(1000, nil); err != nil {
		t.Fatal(err)
	}
	if err := server.Replay(h.ledger, h.audit, &constraint.Limiter{}); err == nil {
		t.Error("taken")
	}
}
