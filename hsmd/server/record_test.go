package server_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"io"
	"math/big"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/hsmd/auditlog"
	"github.com/hsmpki/hsmpki/wire"
	"github.com/hsmpki/hsmpki/wire/unixsock"
)

// recorded closes the log and gives its lines.
func (h *hsmd) recorded() (all []*auditlog.Line) {
	h.t.Helper()
	if err := h.audit.Close(); err != nil {
		h.t.Fatal(err)
	}
	for l, err := range h.audit.Read(0) {
		if err != nil {
			h.t.Fatal(err)
		}
		all = append(all, l)
	}
	return all
}

// TestSignaturesAreRecorded: what was signed, with what and for whom, whole or in
// parts, and what became of it.
func TestSignaturesAreRecorded(t *testing.T) {
	for name, c := range map[string]struct {
		key, curve string
		scheme     wire.SignatureScheme
		algorithm  x509.SignatureAlgorithm
	}{
		"SHA-256": {"root", "P256", wire.ECDSAP256SHA256, x509.ECDSAWithSHA256},
		"SHA-384": {"rsa", "", wire.RSAPKCS1SHA384, x509.SHA384WithRSA},
		"no hash": {"ed", "Ed25519", wire.Ed25519, x509.PureEd25519},
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t, rsaAndEd)
			key := h.give(c.key, c.curve)
			certificate, list := messages(t, c.algorithm, key, now)
			var signatures [][]byte
			for _, message := range [][]byte{certificate, list} {
				for _, req := range []*wire.SignRequest{{Message: message}, {Parts: io.Reader(bytes.NewReader(message))}} {
					req.Key, req.SPKI, req.Scheme, req.Context = c.key, spkiID(t, key.Public()), c.scheme, "pki/\x1b[31m 1"
					signatures = append(signatures, must[*wire.SignResponse](t)(h.as(own).Sign(ctx, req)).Signature)
				}
			}
			tested := must[*wire.TestResponse](t)(h.as(own).Test(ctx, &wire.TestRequest{Key: c.key, Scheme: c.scheme}))
			signatures = append(signatures, tested.Signature)

			lines := h.recorded()[1:] // after the start
			revoked := 0
			lines = slices.DeleteFunc(lines, func(l *auditlog.Line) bool {
				if l.Kind == auditlog.Revoked && l.Number == "1" && len(l.IssuerName) > 0 {
					revoked += len(l.Serials)
				}
				return l.Kind == auditlog.Revoked
			})
			if len(lines) != 10 || revoked != 3000 {
				t.Fatalf("%d lines", len(lines))
			}
			for i, message := range [][]byte{certificate, certificate, list, list, tested.Message} {
				what, outcome := lines[2*i], lines[2*i+1]
				if what.SHA256 != sha256.Sum256(message) || what.Key != c.key || !bytes.Equal(what.SPKI[:], spkiID(t, key.Public())) || what.Scheme != c.scheme.String() || what.Peer.UID != own {
					t.Errorf("line %s", what.Raw)
				}
				if outcome.Kind != auditlog.Signed || *outcome.Of != what.Seq {
					t.Errorf("outcome %s", outcome.Raw)
				}
				switch {
				case i < 2:
					if what.Kind != auditlog.Certificate || !bytes.Equal(what.TBS, certificate) || what.Serial != "4d" || what.Subject != "CN=Test" || what.Issuer != "CN=Test" ||
						!what.CA || !what.NotBefore.Equal(now) || what.Size != int64(len(certificate)) || what.Context != "pki/\ufffd[31m 1" || !bytes.Equal(outcome.Signature, signatures[i]) {
						t.Errorf("line %s\n%s", what.Raw, outcome.Raw)
					}
				case i < 4:
					if what.Kind != auditlog.CRL || what.TBS != nil || what.Number != "1" || what.Count != 3000 || !what.NotAfter.Equal(now.AddDate(0, 0, 3)) {
						t.Errorf("line %s", what.Raw)
					}
				case what.Kind != auditlog.Test:
					t.Errorf("line %s", what.Raw)
				}
				if i >= 2 && outcome.SignatureSHA256 != sha256.Sum256(signatures[i]) {
					t.Errorf("outcome %s", outcome.Raw)
				}
			}
			if _, err := auditlog.Verify(h.dir+"/audit.log", h.dir+"/audit-checkpoint", h.audit.Verifier()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestResponderIsRecorded(t *testing.T) {
	h := start(t, everything)
	h.give("root", "P256")
	key := h.responder(own)
	must[*wire.SignResponse](t)(h.as(own).Sign(ctx, respond(key, ocspResponse(now, true))))
	lines := h.recorded()
	what := lines[len(lines)-2]
	if what.Kind != auditlog.OCSP || what.Key != "root" || what.Serial != "4d" || what.Count != 1 || what.SPKI != sha256.Sum256(key.Key.PublicKey) {
		t.Errorf("%s", what.Raw)
	}
}

// TestNoSignatureWithoutItsRecord: where the log takes nothing, the token is not
// even asked.
func TestNoSignatureWithoutItsRecord(t *testing.T) {
	h := start(t, everything)
	key := h.give("root", "P256")
	certificate, _ := messages(t, x509.ECDSAWithSHA256, key, now)
	req := &wire.SignRequest{Key: "root", SPKI: spkiID(t, key.Public()), Scheme: wire.ECDSAP256SHA256, Message: certificate}
	must[*wire.SignResponse](t)(h.as(own).Sign(ctx, req))
	if err := h.audit.Close(); err != nil {
		t.Fatal(err)
	}
	before := h.token.count("sign")
	_, err := h.as(own).Sign(ctx, req)
	want(t, err, wire.Unavailable, "could not be recorded")
	_, err = h.as(own).Test(ctx, &wire.TestRequest{Key: "root"})
	want(t, err, wire.Unavailable, "could not be recorded")
	if after := h.token.count("sign"); before == 0 || after != before {
		t.Errorf("the token has signed %d times, and then %d", before, after)
	}
}

// TestFailuresAreRecorded: a signature that was not made, or does not verify.
func TestFailuresAreRecorded(t *testing.T) {
	h := start(t, everything)
	key := h.give("root", "P256")
	certificate, _ := messages(t, x509.ECDSAWithSHA256, key, now)
	h.token.flip = true
	_, err := h.as(own).Sign(ctx, &wire.SignRequest{Key: "root", SPKI: spkiID(t, key.Public()), Scheme: wire.ECDSAP256SHA256, Message: certificate})
	want(t, err, wire.Internal, "does not verify")
	lines := h.recorded()
	last := lines[len(lines)-1]
	if last.Kind != auditlog.Failed || !strings.Contains(last.Error, "does not verify") || *last.Of != last.Seq-1 {
		t.Errorf("%s", last.Raw)
	}
}

// TestRefusalsAreRecorded: a thousand of them in two lines.
func TestRefusalsAreRecorded(t *testing.T) {
	h := start(t, strings.Replace(everything, "wire_keys", `client "me" {
  user         = "`+uid()+`"
  capabilities = ["sign"]
}
client "pkid" {
  user         = "902"
  capabilities = ["sign"]
}
wire_keys`, 1))
	key := h.give("root", "P256")
	req := &wire.SignRequest{Key: "root", SPKI: spkiID(t, key.Public()), Scheme: wire.ECDSAP256SHA256, Message: []byte("a letter of recommendation"), Context: "pki/ 1"}
	for range 1000 {
		_, err := h.as(other).Sign(ctx, req)
		want(t, err, wire.Invalid, "")
	}
	_, err := h.as(other).Test(ctx, &wire.TestRequest{Key: "root"})
	want(t, err, wire.Denied, "")
	var counts []int
	for _, l := range h.recorded() {
		if l.Kind == auditlog.Refused {
			counts = append(counts, l.Count)
			if l.Peer.UID != other || !slices.Equal(l.Peer.Client, []string{"pkid"}) || l.Key != "root" || l.Reason == "" {
				t.Errorf("%s", l.Raw)
			}
		}
	}
	if !slices.Equal(counts, []int{1, 1, 999}) {
		t.Errorf("lines of refusals count %v", counts)
	}
}

// TestLogOverTheWire: all lines, in answers that are not too long, for whoever may
// audit all keys.
func TestLogOverTheWire(t *testing.T) {
	h := start(t, strings.Replace(everything, "wire_keys", `client "me" {
  user         = "`+uid()+`"
  capabilities = ["sign", "audit"]
}
client "some" {
  user         = "901"
  capabilities = ["audit"]
  keys         = ["root"]
}
client "pkid" {
  user         = "902"
  capabilities = ["sign", "test", "generate", "configure", "approve"]
}
wire_keys`, 1))
	key := h.give("root", "P256")
	client := h.dial()
	long := certificateOf(t, key, 300<<10)
	for range 10 {
		must[*wire.SignResponse](t)(client.Sign(ctx, &wire.SignRequest{Key: "root", SPKI: spkiID(t, key.Public()), Scheme: wire.ECDSAP256SHA256, Parts: bytes.NewReader(long)}))
	}
	var text []byte
	answers := 0
	for next := uint64(0); ; answers++ {
		a := must[*wire.LogResponse](t)(client.Log(ctx, &wire.LogRequest{From: next}))
		if len(a.Lines) == 0 {
			if next != a.Size || a.Verifier != h.audit.Verifier() {
				t.Errorf("%d lines of %d, %s", next, a.Size, a.Verifier)
			}
			break
		}
		for _, l := range a.Lines {
			text = append(append(text, l...), '\n')
		}
		next += uint64(len(a.Lines))
	}
	if answers < 4 {
		t.Errorf("%d octets in %d answers", len(text), answers)
	}
	if file, err := os.ReadFile(h.dir + "/audit.log"); err != nil || !bytes.HasPrefix(file, text) || bytes.Count(text, []byte(`"tbs"`)) != 10 {
		t.Errorf("%v, %d octets of %d", err, len(text), len(file))
	}
	for _, peer := range []uint32{pkid, other} {
		_, err := h.srv.For(unixsock.Peer{UID: peer}).(wire.Logging).Log(ctx, &wire.LogRequest{})
		want(t, err, wire.Denied, "audit")
	}
}

// certificateOf is the to-be-signed part of a certificate with an extension of
// that many octets.
func certificateOf(t *testing.T, key crypto.Signer, size int) []byte {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(78), Subject: pkix.Name{CommonName: "Big"}, NotBefore: now, NotAfter: now.AddDate(1, 0, 0),
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}, Value: make([]byte, size)}}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, throwaway(t).Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert.RawTBSCertificate
}
