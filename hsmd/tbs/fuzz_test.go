package tbs_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"io"
	"math/big"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/hsmpki/hsmpki/hsmd/tbs"
	"github.com/hsmpki/hsmpki/wire"
)

// alike demands that crypto/x509 read in a certificate what tbs did.
func alike(t *testing.T, got *tbs.Summary, cert *x509.Certificate) {
	t.Helper()
	switch {
	case new(big.Int).SetBytes(got.Serial).Cmp(cert.SerialNumber) != 0:
		t.Errorf("serial %x, x509 reads %x", got.Serial, cert.SerialNumber)
	case !bytes.Equal(got.Issuer, cert.RawIssuer), !bytes.Equal(got.Subject, cert.RawSubject):
		t.Errorf("names %x and %x, x509 reads %x and %x", got.Issuer, got.Subject, cert.RawIssuer, cert.RawSubject)
	case !got.NotBefore.Equal(cert.NotBefore), !got.NotAfter.Equal(cert.NotAfter):
		t.Errorf("validity %s to %s, x509 reads %s to %s", got.NotBefore, got.NotAfter, cert.NotBefore, cert.NotAfter)
	case !bytes.Equal(got.SPKI, cert.RawSubjectPublicKeyInfo):
		t.Errorf("key %x, x509 reads %x", got.SPKI, cert.RawSubjectPublicKeyInfo)
	case got.IsCA != cert.IsCA, cert.BasicConstraintsValid && got.MaxPathLen != cert.MaxPathLen:
		t.Errorf("CA %v, path length %d, x509 reads %v, %d", got.IsCA, got.MaxPathLen, cert.IsCA, cert.MaxPathLen)
	case len(got.Extensions) != len(cert.Extensions):
		t.Errorf("%d extensions, x509 reads %d", len(got.Extensions), len(cert.Extensions))
	}
	for i, e := range cert.Extensions {
		if !bytes.Equal(e.Value, got.Extensions[i].Value) || e.Critical != got.Extensions[i].Critical {
			t.Errorf("extension %s differs from x509's", e.Id)
		}
	}
}

// signed wraps a TBSCertificate with an algorithm and a dummy signature.
func signed(message []byte, algorithm []byte) []byte {
	return seq(message, algorithm, []byte{3, 2, 0, 0})
}

// frame puts the parts of a certificate that are the subject's affair (key and
// extensions) aside: x509 looks into them, tbs need not. What remains must
// parse.
func frame(t *testing.T, message []byte) []byte {
	in := cryptobyte.String(message)
	var body cryptobyte.String
	if !in.ReadASN1(&body, asn1.SEQUENCE) {
		t.Fatal("accepted what cryptobyte cannot read")
	}
	var elements [][]byte
	for !body.Empty() {
		var element cryptobyte.String
		var tag asn1.Tag
		if !body.ReadAnyASN1Element(&element, &tag) {
			t.Fatal("accepted what cryptobyte cannot read")
		}
		elements = append(elements, element)
	}
	elements[6] = spki(t, ed25519.PublicKey(make([]byte, 32)))
	return seq(elements[:7]...)
}

func FuzzParse(f *testing.F) {
	crt := goodCertificate(f)
	f.Add(crt.certificate())
	f.Add(with(crt, "extensions", nil).certificate())
	f.Add(goodRevocationList().revocationList())
	f.Add(goodResponse().response())
	f.Add(goodRequest(f).request())
	f.Fuzz(func(t *testing.T, message []byte) {
		whole, err := tbs.Parse(message, rules(wire.ECDSAP256SHA256))
		streamed, streamErr := tbs.Read(struct{ io.Reader }{bytes.NewReader(message)}, rules(wire.ECDSAP256SHA256))
		if (err == nil) != (streamErr == nil) {
			t.Fatalf("whole: %v, streamed: %v", err, streamErr)
		}
		if err != nil {
			return
		}
		if whole.Kind != streamed.Kind || whole.Size != int64(len(message)) || streamed.Size != whole.Size {
			t.Fatalf("whole %s of %d, streamed %s of %d, is %d", whole.Kind, whole.Size, streamed.Kind, streamed.Size, len(message))
		}
		_ = tbs.NameString(whole.Subject)
		switch whole.Kind {
		case tbs.Certificate:
			if cert, err := x509.ParseCertificate(signed(message, ecdsaSHA256)); err == nil {
				alike(t, whole, cert)
			} else if _, err := x509.ParseCertificate(signed(frame(t, message), ecdsaSHA256)); err != nil {
				t.Errorf("x509 does not read the frame: %v", err)
			}
		case tbs.RevocationList:
			list, err := x509.ParseRevocationList(signed(message, ecdsaSHA256))
			if err == nil {
				entriesAlike(t, message, wire.ECDSAP256SHA256, whole, list)
			}
			if err == nil && (len(list.RevokedCertificateEntries) != whole.Entries || !list.NextUpdate.Equal(whole.NotAfter)) {
				t.Errorf("%d entries until %s, x509 reads %d until %s", whole.Entries, whole.NotAfter, len(list.RevokedCertificateEntries), list.NextUpdate)
			}
		case tbs.Request:
			csr, err := x509.ParseCertificateRequest(signed(message, ecdsaSHA256))
			if err == nil && (!bytes.Equal(csr.RawSubject, whole.Subject) || !bytes.Equal(csr.RawSubjectPublicKeyInfo, whole.SPKI)) {
				t.Errorf("subject or key differ from x509's")
			}
		}
	})
}
