package issuance_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/pkid/issuance"
)

// streamer signs what it has read.
type streamer struct{ *messageSigner }

func (s streamer) SignStream(message io.Reader, opts crypto.SignerOpts) ([]byte, error) {
	whole, err := io.ReadAll(message)
	if err != nil {
		return nil, err
	}
	return s.SignMessage(rand.Reader, whole, opts)
}

func entries(t *testing.T, revoked ...issuance.Revoked) (der []byte) {
	t.Helper()
	for _, r := range revoked {
		entry, err := issuance.EncodeRevoked(r)
		if err != nil {
			t.Fatal(err)
		}
		der = append(der, entry...)
	}
	return der
}

func TestRevocationList(t *testing.T) {
	for kind := range caKeys() {
		issuer := makeIssuer(t, kind)
		der, err := issuer.IssueRevocationList(&issuance.RevocationList{
			Number:     big.NewInt(7),
			ThisUpdate: now,
			NextUpdate: now.Add(72 * time.Hour),
		}, entries(t, issuance.Revoked{SerialNumber: big.NewInt(5), RevokedAt: now.Add(-time.Hour)},
			issuance.Revoked{SerialNumber: big.NewInt(3), RevokedAt: now, Reason: 4}), streamer{signer(kind)})
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		list, err := x509.ParseRevocationList(der)
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		if err := list.CheckSignatureFrom(issuer.Certificate()); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		if list.Number.Int64() != 7 || !bytes.Equal(list.AuthorityKeyId, issuer.Certificate().SubjectKeyId) {
			t.Errorf("%s: number %v, authority key identifier %x", kind, list.Number, list.AuthorityKeyId)
		}
		if !list.ThisUpdate.Equal(now.Truncate(time.Second)) || !list.NextUpdate.Equal(now.Add(72*time.Hour).Truncate(time.Second)) {
			t.Errorf("%s: from %v to %v", kind, list.ThisUpdate, list.NextUpdate)
		}
		e := list.RevokedCertificateEntries
		if len(e) != 2 || e[0].SerialNumber.Int64() != 5 || e[0].ReasonCode != 0 || e[1].ReasonCode != 4 {
			t.Errorf("%s: entries %v", kind, e)
		}
		if _, err := issuer.IssueRevocationList(&issuance.RevocationList{ThisUpdate: now, NextUpdate: now.Add(time.Hour)}, nil, streamer{signer(kind)}); err == nil {
			t.Errorf("%s: a list without a number was signed", kind)
		}
	}
}

// TestRevocationListRefuses keys and issuers that may not sign one.
func TestRevocationListRefuses(t *testing.T) {
	root := makeRoot(t, "P-256", nil)
	list := &issuance.RevocationList{Number: big.NewInt(1), ThisUpdate: now, NextUpdate: now.Add(time.Hour)}
	issuer, err := issuance.NewIssuer(root, urls)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := issuer.IssueRevocationList(list, nil, streamer{signer("P-384")}); err == nil {
		t.Error("another key signed")
	}
	without := *root
	without.KeyUsage = x509.KeyUsageCertSign
	if issuer, err = issuance.NewIssuer(&without, urls); err != nil {
		t.Fatal(err)
	}
	if _, err := issuer.IssueRevocationList(list, nil, streamer{signer("P-256")}); err == nil {
		t.Error("signed without cRLSign")
	}
}

// TestLookAtRevocationList: whoever looks sees what is signed, and can end it
// before the key is asked.
func TestLookAtRevocationList(t *testing.T) {
	issuer := makeIssuer(t, "RSA")
	var seen, dummy []byte
	list := &issuance.RevocationList{Number: big.NewInt(1), ThisUpdate: now, NextUpdate: now.Add(time.Hour)}
	list.Look = func(tbs, d []byte) error {
		seen, dummy = tbs, d
		return nil
	}
	der, err := issuer.IssueRevocationList(list, nil, streamer{signer("RSA")})
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseRevocationList(der)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(parsed.RawTBSRevocationList, seen) || len(parsed.Signature) != len(dummy) {
		t.Error("something else was signed than what was looked at")
	}
	list.Look = func(_, _ []byte) error { return errAway }
	s := signer("RSA")
	if _, err := issuer.IssueRevocationList(list, nil, streamer{s}); !errors.Is(err, errAway) || s.asked != 0 {
		t.Errorf("the key was asked %d times, and the error is %v", s.asked, err)
	}
}

// TestDeltaRevocationList: what makes a delta CRL, and what a complete one says
// of it (RFC 5280, sections 5.2.4 and 5.2.6).
func TestDeltaRevocationList(t *testing.T) {
	issuer := makeIssuer(t, "P-256")
	critical := map[string]bool{}
	issue := func(list *issuance.RevocationList) {
		t.Helper()
		list.Number, list.ThisUpdate, list.NextUpdate = big.NewInt(300), now, now.Add(time.Hour)
		der, err := issuer.IssueRevocationList(list, nil, streamer{signer("P-256")})
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := x509.ParseRevocationList(der)
		if err != nil {
			t.Fatal(err)
		}
		clear(critical)
		for _, e := range parsed.Extensions {
			critical[e.Id.String()] = e.Critical
		}
	}
	issue(&issuance.RevocationList{Base: big.NewInt(299)})
	if isCritical, is := critical["2.5.29.27"]; !is || !isCritical || len(critical) != 3 {
		t.Errorf("a delta CRL has the extensions %v", critical)
	}
	issue(&issuance.RevocationList{FreshestCRL: []string{"http://ca.test/crl/delta"}})
	if isCritical, is := critical["2.5.29.46"]; !is || isCritical || len(critical) != 3 {
		t.Errorf("a complete CRL has the extensions %v", critical)
	}
}

// TestRevocationListEntriesMissing: fewer entries than were prepared for are
// never handed out as a CRL.
func TestRevocationListEntriesMissing(t *testing.T) {
	issuer := makeIssuer(t, "P-256")
	der := entries(t, issuance.Revoked{SerialNumber: big.NewInt(5), RevokedAt: now}, issuance.Revoked{SerialNumber: big.NewInt(6), RevokedAt: now})
	list, err := issuer.PrepareRevocationList(&issuance.RevocationList{Number: big.NewInt(1), ThisUpdate: now, NextUpdate: now.Add(time.Hour)}, int64(len(der)))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := list.Sign(streamer{signer("P-256")}, bytes.NewReader(der[:len(der)/2]), io.Discard); err == nil {
		t.Error("signed with half of the entries")
	}
}

func TestParseReason(t *testing.T) {
	for text, want := range map[string]int{"keyCompromise": 1, "KEYCOMPROMISE": 1, "1": 1, "0": 0, "unspecified": 0, "aACompromise": 10, "10": 10,
		"": -1, "7": -1, "11": -1, "-1": -1, "01": -1, "certificateHold": -1, "6": -1, "removeFromCRL": -1, "8": -1, "because": -1} {
		got, err := issuance.ParseReason(text)
		if (err != nil) != (want < 0) || err == nil && got != want {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
}
