package server_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/crypto/ssh"

	"github.com/hsmpki/hsmpki/wire"
)

// approvers are blocks of people whose keys nobody has.
func approvers(t *testing.T, names ...string) (blocks string) {
	t.Helper()
	for _, name := range names {
		public, _, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		line := ssh.MarshalAuthorizedKey(must[ssh.PublicKey](t)(ssh.NewPublicKey(public)))
		blocks += fmt.Sprintf("approver %q { keys = [%q] }\n", name, bytes.TrimSpace(line))
	}
	return blocks
}

// approving is a server whose key "root" signs by approval.
func approving(t *testing.T, rule string) *hsmd {
	t.Helper()
	return start(t, approvers(t, "alice", "bob")+strings.Replace(everything, "allow_generate_key = true\n", "allow_generate_key = true\n  approval {\n"+rule+"\n  }\n", 1))
}

func waiting(t *testing.T, client *wire.Client, id string) []wire.Waiting {
	t.Helper()
	return must[*wire.ApprovalsResponse](t)(client.Approvals(ctx, &wire.ApprovalsRequest{ID: id})).Waiting
}

// TestApprovalOfTwoNames: where a key pair has two names, what either's rule holds
// back is held back, whichever asks for more people.
func TestApprovalOfTwoNames(t *testing.T) {
	h := start(t, approvers(t, "alice", "bob")+strings.Replace(everything, "allow_generate_key = true", `approval {
    quorum = 2
    sign   = ["certificate"]
  }`, 1)+`
managed_key "pkcs11" "by-id" {
  library     = "soft"
  token_label = "ca"
  pin         = "pin-1234"
  key_id      = "01"
  mechanism   = "0x1041"
  approval {
    quorum = 1
    sign   = ["crl"]
  }
}
`)
	a := h.authority()
	h.token.ids["01"] = "root"
	must[*wire.TestResponse](t)(h.as(own).Test(ctx, &wire.TestRequest{Key: "by-id"}))
	want(t, a.issue(5, "five"), wire.Pending, "of 2 people")
	want(t, a.list(1, 0), wire.Pending, "of 1 people")
	for _, w := range waiting(t, h.dial(), "") {
		if want := map[string]int{"certificate": 2, "crl": 1}[w.Kind]; w.Quorum != want {
			t.Errorf("%s: %d people, want %d", w.Kind, w.Quorum, want)
		}
	}
}

// TestApprovalsFit: whoever asks for signatures cannot ask for so much that people
// see nothing of what else waits.
func TestApprovalsFit(t *testing.T) {
	h := approving(t, "quorum = 1")
	a := h.authority()
	for n := range 40 {
		template := &x509.Certificate{SerialNumber: big.NewInt(int64(100 + n)), Subject: pkix.Name{CommonName: "junk"}, NotBefore: now, NotAfter: now.AddDate(0, 0, 1),
			ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Value: make([]byte, 200<<10)}}}
		der := must[[]byte](t)(x509.CreateCertificate(rand.Reader, template, a.cert, a.leaf.Public(), a.key))
		want(t, a.sign(must[*x509.Certificate](t)(x509.ParseCertificate(der)).RawTBSCertificate), wire.Pending, "")
	}
	want(t, a.issue(7, "honest"), wire.Pending, "")
	client := h.dial()
	all := waiting(t, client, "")
	if len(all) != 41 {
		t.Fatalf("%d wait", len(all))
	}
	seen := false
	for _, w := range all {
		if w.Statement == "" {
			t.Errorf("%s has no statement", w.ID)
		}
		seen = seen || strings.Contains(strings.Join(w.Words, "\n"), "CN=honest") && w.Message != nil
	}
	if !seen {
		t.Error("the honest one cannot be seen")
	}
	for _, w := range all {
		one := waiting(t, client, w.ID)
		if len(one) != 1 || one[0].ID != w.ID || one[0].Message == nil || len(one[0].Words) < 5 {
			t.Fatalf("alone: %d, %d octets, %d lines", len(one), len(one[0].Message), len(one[0].Words))
		}
	}
	if none := waiting(t, client, "nonsense"); len(none) != 0 {
		t.Errorf("under no id: %v", none)
	}
}

// TestApprovalContext: what pkid says of its request reaches people's terminals.
func TestApprovalContext(t *testing.T) {
	h := approving(t, "quorum = 1")
	key := h.give("root", "P256")
	message, _ := messages(t, x509.ECDSAWithSHA256, key, now)
	req := &wire.SignRequest{Key: "root", SPKI: spkiID(t, key.Public()), Scheme: wire.ECDSAP256SHA256, Message: message,
		Context: "pki)\n\x1b[8m    the certificate of a CA for CN=Harmless\u202e\u200b"}
	for range 3 {
		_, err := h.as(own).Sign(ctx, req)
		want(t, err, wire.Pending, "")
	}
	for _, w := range waiting(t, h.dial(), "") {
		if strings.ContainsFunc(w.Context, func(r rune) bool { return !unicode.IsGraphic(r) }) || !strings.Contains(w.Context, "Harmless") {
			t.Errorf("context %q", w.Context)
		}
	}
	if n := strings.Count(h.log.String(), `msg="waits for approval"`); n != 1 {
		t.Errorf("asked three times, logged %d times", n)
	}
}

// TestLongListBesideApproval: a CRL that needs no approval is as long as it likes,
// though the key's certificates need one.
func TestLongListBesideApproval(t *testing.T) {
	for rule, code := range map[string]wire.Code{`sign = ["certificate"]`: 0, `sign = ["crl"]`: wire.Invalid} {
		h := approving(t, "quorum = 1\n"+rule)
		a := h.authority()
		entries := make([]entry, 12_000)
		for n := range entries {
			entries[n] = entry{serial: 100_000 + n}
		}
		err := a.list(1, 0, entries...)
		if code == 0 && err != nil || code != 0 && !errors.Is(err, code) {
			t.Errorf("%s: %v", rule, err)
		}
	}
}

// TestApprovalNamed: who asks again for what waits and has become another message is
// refused, and nothing else waits therefore.
func TestApprovalNamed(t *testing.T) {
	h := approving(t, "quorum = 1")
	key := h.give("root", "P256")
	message, _ := messages(t, x509.ECDSAWithSHA256, key, now)
	ask := func(message []byte, id string) error {
		_, err := h.as(own).Sign(ctx, &wire.SignRequest{Key: "root", SPKI: spkiID(t, key.Public()), Scheme: wire.ECDSAP256SHA256, Message: message, Approval: id})
		return err
	}
	first, is := errors.AsType[*wire.Error](ask(message, ""))
	if !is || first.Code != wire.Pending {
		t.Fatal(first)
	}
	want(t, ask(message, first.ID), wire.Pending, first.ID)
	other, _ := messages(t, x509.ECDSAWithSHA256, key, now.AddDate(0, 0, -1))
	refusal, is := errors.AsType[*wire.Error](ask(other, first.ID))
	if !is || refusal.Code != wire.Denied || refusal.ID != first.ID {
		t.Errorf("another message: %+v", refusal)
	}
	want(t, ask(other, first.ID+"0"), wire.Invalid, "32 octets")
	if n := len(waiting(t, h.dial(), "")); n != 1 {
		t.Errorf("%d wait", n)
	}
}
