package ocsp_test

import (
	"context"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
	xocsp "golang.org/x/crypto/ocsp"

	"github.com/hsmpki/hsmpki/pkid/issuance"
	"github.com/hsmpki/hsmpki/pkid/ocsp"
)

// query is an OCSPRequest in the making; what is empty is left out.
type query struct {
	version   []byte // DER of what is inside [0]
	requestor []byte // DER of a GeneralName
	certs     [][]byte
	single    []byte // extensions of each certificate, a list
	list      []byte // extensions of the request, a list
	signature []byte
}

func tag(n uint8) cbasn1.Tag { return cbasn1.Tag(n).ContextSpecific().Constructed() }

func (q *query) der() []byte {
	var b cryptobyte.Builder
	optional := func(b *cryptobyte.Builder, n uint8, der []byte) {
		if der != nil {
			b.AddASN1(tag(n), func(b *cryptobyte.Builder) { b.AddBytes(der) })
		}
	}
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			optional(b, 0, q.version)
			optional(b, 1, q.requestor)
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				for _, id := range q.certs {
					b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddBytes(id)
						optional(b, 0, q.single)
					})
				}
			})
			optional(b, 2, q.list)
		})
		optional(b, 0, q.signature)
	})
	return b.BytesOrPanic()
}

var hashOIDs = map[crypto.Hash]asn1.ObjectIdentifier{
	crypto.SHA1: {1, 3, 14, 3, 2, 26}, crypto.SHA256: {2, 16, 840, 1, 101, 3, 4, 2, 1},
	crypto.SHA384: {2, 16, 840, 1, 101, 3, 4, 2, 2}, crypto.SHA512: {2, 16, 840, 1, 101, 3, 4, 2, 3},
}

// certID names a certificate of an issuer by hash.
func certID(t testing.TB, issuer *x509.Certificate, serial *big.Int, hash crypto.Hash) []byte {
	t.Helper()
	bits, err := issuance.PublicKeyBits(issuer.RawSubjectPublicKeyInfo)
	if err != nil {
		t.Fatal(err)
	}
	sum := func(octets []byte) []byte { h := hash.New(); h.Write(octets); return h.Sum(nil) }
	der, err := asn1.Marshal(struct {
		Algorithm pkix.AlgorithmIdentifier
		Name, Key []byte
		Serial    *big.Int
	}{pkix.AlgorithmIdentifier{Algorithm: hashOIDs[hash], Parameters: asn1.NullRawValue}, sum(issuer.RawSubject), sum(bits), serial})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func extension(oid asn1.ObjectIdentifier, critical bool, value []byte) []byte {
	der, err := asn1.Marshal(pkix.Extension{Id: oid, Critical: critical, Value: value})
	if err != nil {
		panic(err)
	}
	return der
}

func sequence(elements ...[]byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, e := range elements {
			b.AddBytes(e)
		}
	})
	return b.BytesOrPanic()
}

var nonceOID = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 2}

func nonce(size int) []byte {
	value, err := asn1.Marshal(make([]byte, size))
	if err != nil {
		panic(err)
	}
	return sequence(extension(nonceOID, false, value))
}

// ask sends a query from an address of its own.
func ask(t testing.TB, r *ocsp.Responder, q *query) *ocsp.Response {
	t.Helper()
	return r.Respond(context.Background(), q.der(), "192.0.2.1:1")
}

func about(t testing.TB, i *ocsp.Issuer, serials ...*big.Int) *query {
	q := &query{}
	for _, serial := range serials {
		q.certs = append(q.certs, certID(t, i.Certificate, serial, crypto.SHA1))
	}
	return q
}

// parse has x/crypto/ocsp read an answer about a certificate, and verify it: by
// the responder's certificate that comes along, and that by the issuer.
func parse(t testing.TB, response *ocsp.Response, serial *big.Int, issuer *x509.Certificate) *xocsp.Response {
	t.Helper()
	if response.Status != ocsp.Successful {
		t.Fatalf("status %d", response.Status)
	}
	got, err := xocsp.ParseResponseForCert(response.DER, &x509.Certificate{SerialNumber: serial}, issuer)
	if err != nil {
		t.Fatalf("%v in %x", err, response.DER)
	}
	return got
}

func wantStatus(t testing.TB, what string, got *ocsp.Response, status ocsp.ResponseStatus) {
	t.Helper()
	if got.Status != status {
		t.Errorf("%s: status %d, want %d", what, got.Status, status)
	}
	if status != ocsp.Successful && (len(got.DER) != 5 || got.Cacheable) {
		t.Errorf("%s: %+v", what, got)
	}
}

// verified checks an answer that the issuer's own key signed, with crypto/x509,
// which knows all algorithms.
func verified(t testing.TB, response *ocsp.Response, issuer *x509.Certificate) {
	t.Helper()
	var outer struct {
		Status asn1.Enumerated
		Bytes  struct {
			Type  asn1.ObjectIdentifier
			Basic []byte
		} `asn1:"explicit,tag:0"`
	}
	var basic struct {
		Data      asn1.RawValue
		Algorithm asn1.RawValue
		Signature asn1.BitString
		Certs     []asn1.RawValue `asn1:"explicit,tag:0"`
	}
	if rest, err := asn1.Unmarshal(response.DER, &outer); err != nil || len(rest) > 0 || outer.Status != 0 {
		t.Fatalf("%v, status %d", err, outer.Status)
	}
	if rest, err := asn1.Unmarshal(outer.Bytes.Basic, &basic); err != nil || len(rest) > 0 {
		t.Fatal(err)
	}
	if err := issuer.CheckSignature(issuer.SignatureAlgorithm, basic.Data.FullBytes, basic.Signature.Bytes); err != nil {
		t.Error(err)
	}
	var certificate struct {
		TBS, Algorithm asn1.RawValue
		Signature      asn1.BitString
	}
	if _, err := asn1.Unmarshal(issuer.Raw, &certificate); err != nil || string(certificate.Algorithm.FullBytes) != string(basic.Algorithm.FullBytes) {
		t.Errorf("the algorithm is %x, the issuer's %x (%v)", basic.Algorithm.FullBytes, certificate.Algorithm.FullBytes, err)
	}
}
