package issuance_test

import (
	"bytes"
	"crypto/x509"
	"errors"
	"math/big"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/pkid/issuance"
)

func TestRevocationList(t *testing.T) {
	for kind := range caKeys() {
		issuer := makeIssuer(t, kind)
		der, err := issuer.IssueRevocationList(&issuance.RevocationList{
			Number:     big.NewInt(7),
			ThisUpdate: now,
			NextUpdate: now.Add(72 * time.Hour),
			Entries: []issuance.Revoked{
				{SerialNumber: big.NewInt(5), RevokedAt: now.Add(-time.Hour)},
				{SerialNumber: big.NewInt(3), RevokedAt: now, Reason: 4},
			},
		}, signer(kind))
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
		if _, err := issuer.IssueRevocationList(&issuance.RevocationList{ThisUpdate: now, NextUpdate: now.Add(time.Hour)}, signer(kind)); err == nil {
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
	if _, err := issuer.IssueRevocationList(list, signer("P-384")); err == nil {
		t.Error("another key signed")
	}
	without := *root
	without.KeyUsage = x509.KeyUsageCertSign
	if issuer, err = issuance.NewIssuer(&without, urls); err != nil {
		t.Fatal(err)
	}
	if _, err := issuer.IssueRevocationList(list, signer("P-256")); err == nil {
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
	der, err := issuer.IssueRevocationList(list, signer("RSA"))
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
	if _, err := issuer.IssueRevocationList(list, s); !errors.Is(err, errAway) || s.asked != 0 {
		t.Errorf("the key was asked %d times, and the error is %v", s.asked, err)
	}
}
