package tbs_test

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/hsmpki/hsmpki/hsmd/tbs"
	"github.com/hsmpki/hsmpki/wire"
)

// both recognises a message held whole and as a stream of single octets, and
// demands the same of both.
func both(t *testing.T, message []byte, r tbs.Rules) (*tbs.Summary, error) {
	t.Helper()
	whole, err := tbs.Parse(message, r)
	streamed, streamErr := tbs.Read(iotest.OneByteReader(bytes.NewReader(message)), r)
	if (err == nil) != (streamErr == nil) || err != nil && err.Error() != streamErr.Error() {
		t.Fatalf("whole: %v, streamed: %v", err, streamErr)
	}
	if err == nil && (whole.Kind != streamed.Kind || whole.Size != streamed.Size || whole.Entries != streamed.Entries ||
		!bytes.Equal(whole.Issuer, streamed.Issuer) || !bytes.Equal(whole.Subject, streamed.Subject) || !bytes.Equal(whole.SPKI, streamed.SPKI) ||
		!whole.NotAfter.Equal(streamed.NotAfter) || len(whole.Extensions) != len(streamed.Extensions)) {
		t.Fatalf("whole: %+v\nstreamed: %+v", whole, streamed)
	}
	return whole, err
}

func TestWhatX509Makes(t *testing.T) {
	for scheme, with := range schemes(t) {
		t.Run(scheme.String(), func(t *testing.T) {
			template := template()
			template.SignatureAlgorithm = with.alg
			der, err := x509.CreateCertificate(rand.Reader, template, template, with.key.Public(), with.key)
			if err != nil {
				t.Fatal(err)
			}
			root, err := x509.ParseCertificate(der)
			if err != nil {
				t.Fatal(err)
			}
			got, err := both(t, root.RawTBSCertificate, rules(scheme))
			if err != nil {
				t.Fatal(err)
			}
			if got.Kind != tbs.Certificate || !got.IsCA || got.MaxPathLen != 1 || got.Size != int64(len(root.RawTBSCertificate)) {
				t.Errorf("certificate: %+v", got)
			}
			alike(t, got, root)
			if want := "9a:01:02:03:04:05:06:07:08:09:0a:0b:0c:0d:0e:0f:10:11:12"; got.SerialString() != want {
				t.Errorf("serial %s, want %s", got.SerialString(), want)
			}
			if s := tbs.NameString(got.Subject); !strings.Contains(s, "CN=Example Root") {
				t.Errorf("subject reads %q", s)
			}

			list := &x509.RevocationList{SignatureAlgorithm: with.alg, Number: big.NewInt(1), ThisUpdate: now, NextUpdate: now.Add(72 * time.Hour),
				RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: big.NewInt(7), RevocationTime: now, ReasonCode: 1}}}
			if der, err = x509.CreateRevocationList(rand.Reader, list, root, with.key); err != nil {
				t.Fatal(err)
			}
			parsed, err := x509.ParseRevocationList(der)
			if err != nil {
				t.Fatal(err)
			}
			if got, err = both(t, parsed.RawTBSRevocationList, rules(scheme)); err != nil {
				t.Fatal(err)
			}
			if got.Kind != tbs.RevocationList || got.Entries != 1 || len(got.Extensions) != 2 || !got.NotAfter.Equal(list.NextUpdate) {
				t.Errorf("crl: %+v", got)
			}
			entriesAlike(t, parsed.RawTBSRevocationList, scheme, got, parsed)

			if der, err = x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{SignatureAlgorithm: with.alg,
				Subject: template.Subject, DNSNames: template.DNSNames}, with.key); err != nil {
				t.Fatal(err)
			}
			csr, err := x509.ParseCertificateRequest(der)
			if err != nil {
				t.Fatal(err)
			}
			if got, err = both(t, csr.RawTBSCertificateRequest, rules(scheme)); err != nil {
				t.Fatal(err)
			}
			if got.Kind != tbs.Request || len(got.Extensions) != 1 || !bytes.Equal(got.SPKI, csr.RawSubjectPublicKeyInfo) {
				t.Errorf("csr: %+v", got)
			}
		})
	}
}

// entriesAlike compares number and entries of a CRL with what x509 reads.
func entriesAlike(t *testing.T, message []byte, scheme wire.SignatureScheme, got *tbs.Summary, want *x509.RevocationList) {
	t.Helper()
	if want.Number != nil && got.Number() != want.Number.String() {
		t.Errorf("number %s, x509 reads %d", got.Number(), want.Number)
	}
	var n int
	r := rules(scheme)
	r.Revoked = func(issuer, serial []byte, reason uint8) error {
		e := want.RevokedCertificateEntries[n]
		n++
		if x := e.SerialNumber.Bytes(); !bytes.Equal(issuer, want.RawIssuer) || e.SerialNumber.Sign() >= 0 && !bytes.Equal(bytes.TrimLeft(serial, "\x00"), x) || int(reason) != e.ReasonCode {
			t.Errorf("entry %d: serial %x, reason %d, x509 reads %x, %d", n, serial, reason, x, e.ReasonCode)
		}
		return nil
	}
	if _, err := tbs.Read(bytes.NewReader(message), r); err != nil || n != len(want.RevokedCertificateEntries) {
		t.Errorf("shown were %d entries of %d: %v", n, len(want.RevokedCertificateEntries), err)
	}
}

// TestRevokedEndsTheReading: whoever is shown the entries may have enough.
func TestRevokedEndsTheReading(t *testing.T) {
	enough := errors.New("enough")
	r := rules(wire.ECDSAP256SHA256)
	r.Revoked = func([]byte, []byte, uint8) error { return enough }
	if _, err := both(t, goodRevocationList().revocationList(), r); err != enough {
		t.Errorf("got %v", err)
	}
}

// TestExamplesOfRFC9881: the certificates of RFC 9881, appendix C, are
// recognised for their parameter set, and the same with NULL parameters is not.
func TestExamplesOfRFC9881(t *testing.T) {
	for name, scheme := range map[string]wire.SignatureScheme{"44": wire.MLDSA44, "65": wire.MLDSA65, "87": wire.MLDSA87} {
		text, err := os.ReadFile("../../wire/testdata/rfc9881/ml-dsa-" + name + ".crt")
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode(text)
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		got, err := both(t, cert.RawTBSCertificate, rules(scheme))
		if err != nil {
			t.Fatal(err)
		}
		alike(t, got, cert)
		p := goodCertificate(t)
		oid := tlv(6, []byte("\x60\x86\x48\x01\x65\x03\x04\x03"+string(rune(scheme-wire.MLDSA44+17))))
		p["algorithm"] = seq(oid)
		if _, err := both(t, p.certificate(), rules(scheme)); err != nil {
			t.Errorf("without parameters: %v", err)
		}
		p["algorithm"] = seq(oid, []byte{5, 0})
		if _, err := both(t, p.certificate(), rules(scheme)); err == nil {
			t.Error("recognised with NULL parameters")
		}
	}
}

func TestInnerAlgorithmIsTheScheme(t *testing.T) {
	for scheme, with := range schemes(t) {
		template := template()
		template.SignatureAlgorithm = with.alg
		der, err := x509.CreateCertificate(rand.Reader, template, template, with.key.Public(), with.key)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		for other := range schemes(t) {
			_, err := tbs.Parse(cert.RawTBSCertificate, rules(other))
			if e, ok := errors.AsType[*tbs.Error](err); other != scheme && (!ok || !e.Forbidden) {
				t.Errorf("a certificate for %s, to be signed with %s: %v", scheme, other, err)
			}
		}
	}
}

func TestHandMade(t *testing.T) {
	for kind, message := range map[tbs.Kind][]byte{
		tbs.Certificate:    goodCertificate(t).certificate(),
		tbs.RevocationList: goodRevocationList().revocationList(),
		tbs.Request:        goodRequest(t).request(),
		tbs.OCSPResponse:   goodResponse().response(),
	} {
		got, err := both(t, message, rules(wire.ECDSAP256SHA256))
		if err != nil {
			t.Errorf("%s: %v", kind, err)
		} else if got.Kind != kind {
			t.Errorf("%s was taken for a %s", kind, got.Kind)
		}
		for end := range message {
			if _, err := both(t, message[:end], rules(wire.ECDSAP256SHA256)); err == nil {
				t.Errorf("%s: its first %d octets were accepted", kind, end)
			}
		}
		if _, err := both(t, append(message, 0), rules(wire.ECDSAP256SHA256)); err == nil {
			t.Errorf("%s: an octet after its end was accepted", kind)
		}
	}
}

// TestResponses has the forms of an OCSP response that a responder may need.
func TestResponses(t *testing.T) {
	const noon, later, latest = "20261124120000Z", "20261125120000Z", "20261130120000Z"
	revoked := func(reason ...byte) []byte { return tlv(0xa1, gen("20261120120000Z"), tlv(0xa0, tlv(10, reason))) }
	hash := func(id string, size int) []byte {
		return seq(seq(seq(tlv(6, []byte("\x60\x86\x48\x01\x65\x03\x04\x02"+id)), []byte{5, 0}), tlv(4, make([]byte, size)), tlv(4, make([]byte, size)),
			tlv(2, bytes.Repeat([]byte{0x11}, 20))), good, gen(noon), tlv(0xa0, gen(later)))
	}
	invalidity := seq(seq(sha1ID, hash20, hash20, []byte{2, 1, 5}), revoked(1), gen(noon), tlv(0xa0, gen(later)),
		tlv(0xa1, seq(extension("\x55\x1d\x18", false, gen(noon)))))
	nonce := func(size int) []byte {
		return tlv(0xa1, seq(extension("\x2b\x06\x01\x05\x05\x07\x30\x01\x02", false, tlv(4, make([]byte, size)))))
	}
	for _, c := range []struct {
		what    string
		message []byte
		entries int
		first   tbs.Status
	}{
		{"unknown", with(goodResponse(), "responses", seq(single([]byte{0x82, 0}, noon, later))).response(), 1, tbs.Unknown},
		{"revoked", with(goodResponse(), "responses", seq(single(tlv(0xa1, gen(noon)), noon, later))).response(), 1, tbs.Revoked},
		{"revoked with a reason", with(goodResponse(), "responses", seq(single(revoked(10), noon, later))).response(), 1, tbs.Revoked},
		{"with an extension", with(goodResponse(), "responses", seq(invalidity)).response(), 1, tbs.Revoked},
		{"SHA-256, 384 and 512", with(goodResponse(), "responses", seq(hash("\x01", 32), hash("\x02", 48), hash("\x03", 64), single(good, noon, latest))).response(), 4, tbs.Good},
		{"nonce of one octet", with(goodResponse(), "extensions", nonce(1)).response(), 1, tbs.Good},
		{"nonce of 128 octets", with(goodResponse(), "extensions", nonce(128)).response(), 1, tbs.Good},
		{"by name", with(goodResponse(), "responder", tlv(0xa1, name("OCSP"))).response(), 1, tbs.Good},
	} {
		got, err := both(t, c.message, rules(wire.ECDSAP256SHA256))
		if err != nil || got.Kind != tbs.OCSPResponse || got.Entries != c.entries || len(got.Answers) != c.entries {
			t.Errorf("%s: %+v, %v", c.what, got, err)
			continue
		}
		if a := got.Answers[0]; len(a.Serial) == 0 || len(a.NameHash) != len(a.KeyHash) || a.Status != c.first {
			t.Errorf("%s: says %+v", c.what, a)
		}
	}
}

func TestReaderFailureIsNotARefusal(t *testing.T) {
	broken := errors.New("connection lost")
	message := goodRevocationList().revocationList()
	_, err := tbs.Read(&failing{message[:len(message)-3], broken}, rules(wire.ECDSAP256SHA256))
	if err != broken {
		t.Errorf("got %v, want %v", err, broken)
	}
	_, err = tbs.Read(&failing{message, broken}, rules(wire.ECDSAP256SHA256))
	if err != broken {
		t.Errorf("after the last octet: got %v, want %v", err, broken)
	}
}

type failing struct {
	rest []byte
	err  error
}

func (f *failing) Read(p []byte) (int, error) {
	if len(f.rest) == 0 {
		return 0, f.err
	}
	n := copy(p, f.rest)
	f.rest = f.rest[n:]
	return n, nil
}
