package tbs_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/mldsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/hsmpki/hsmpki/hsmd/tbs"
	"github.com/hsmpki/hsmpki/wire"
)

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func rules(scheme wire.SignatureScheme) tbs.Rules { return tbs.Rules{Now: now, Scheme: scheme} }

// parts are the elements of a message, each as DER, so that a test can change
// one of them.
type parts map[string][]byte

func (p parts) join(names ...string) []byte {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, name := range names {
			b.AddBytes(p[name])
		}
	})
	return b.BytesOrPanic()
}

func (p parts) certificate() []byte {
	return p.join("version", "serial", "algorithm", "issuer", "validity", "subject", "spki", "extensions", "more")
}

func (p parts) revocationList() []byte {
	return p.join("version", "algorithm", "issuer", "this", "next", "revoked", "extensions", "more")
}

func (p parts) request() []byte {
	return p.join("version", "subject", "spki", "attributes", "more")
}

func (p parts) response() []byte {
	return p.join("version", "responder", "produced", "responses", "extensions", "more")
}

func tlv(tag asn1.Tag, contents ...[]byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(tag, func(b *cryptobyte.Builder) {
		for _, c := range contents {
			b.AddBytes(c)
		}
	})
	return b.BytesOrPanic()
}

func seq(contents ...[]byte) []byte { return tlv(0x30, contents...) }
func utc(s string) []byte           { return tlv(0x17, []byte(s)) }
func gen(s string) []byte           { return tlv(0x18, []byte(s)) }

func name(cn string) []byte {
	return seq(tlv(0x31, seq([]byte("\x06\x03\x55\x04\x03"), tlv(0x0c, []byte(cn)))))
}

var (
	ecdsaSHA256 = []byte("\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02")
	sha1ID      = []byte("\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00")
	hash20      = tlv(0x04, make([]byte, 20))
)

func extension(oid string, critical bool, value []byte) []byte {
	mark := []byte(nil)
	if critical {
		mark = []byte{1, 1, 0xff}
	}
	return seq(tlv(6, []byte(oid)), mark, tlv(4, value))
}

func spki(t testing.TB, public crypto.PublicKey) []byte {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func goodCertificate(t testing.TB) parts {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return parts{
		"version":    {0xa0, 3, 2, 1, 2},
		"serial":     tlv(2, []byte{0x5a, 1, 2, 3}),
		"algorithm":  ecdsaSHA256,
		"issuer":     name("Example Root"),
		"validity":   seq(utc("261124115930Z"), utc("271124120000Z")),
		"subject":    name("www.example.com"),
		"spki":       spki(t, key.Public()),
		"extensions": tlv(0xa3, seq(extension("\x55\x1d\x13", true, seq()), extension("\x55\x1d\x0f", true, []byte{3, 2, 7, 0x80}))),
	}
}

func goodRevocationList() parts {
	return parts{
		"version":   {2, 1, 1},
		"algorithm": ecdsaSHA256,
		"issuer":    name("Example Root"),
		"this":      utc("261124120000Z"),
		"next":      utc("261127120000Z"),
		"revoked": seq(seq(tlv(2, []byte{5}), utc("261123120000Z")),
			seq(tlv(2, []byte{6}), utc("261123120000Z"), seq(extension("\x55\x1d\x15", false, []byte{10, 1, 1})))),
		"extensions": tlv(0xa0, seq(extension("\x55\x1d\x14", false, []byte{2, 1, 1}))),
	}
}

func goodRequest(t testing.TB) parts {
	p := goodCertificate(t)
	asked := seq(tlv(6, []byte("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0e")), tlv(0x31, seq(extension("\x55\x1d\x13", true, seq()))))
	return parts{"version": {2, 1, 0}, "subject": p["subject"], "spki": p["spki"], "attributes": tlv(0xa0, asked)}
}

func single(status []byte, this, next string) []byte {
	id := seq(sha1ID, hash20, hash20, tlv(2, []byte{0x5a, 1}))
	if next == "" {
		return seq(id, status, gen(this))
	}
	return seq(id, status, gen(this), tlv(0xa0, gen(next)))
}

var good = []byte{0x80, 0}

func goodResponse() parts {
	return parts{
		"responder": tlv(0xa2, hash20),
		"produced":  gen("20261124120000Z"),
		"responses": seq(single(good, "20261124120000Z", "20261125120000Z")),
	}
}

// schemes pairs each scheme with a key and crypto/x509's name for it.
func schemes(t testing.TB) map[wire.SignatureScheme]struct {
	key crypto.Signer
	alg x509.SignatureAlgorithm
} {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ec := func(curve elliptic.Curve) crypto.Signer {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	mldsaKey := func(set mldsa.Parameters) crypto.Signer {
		key, err := mldsa.GenerateKey(set)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	return map[wire.SignatureScheme]struct {
		key crypto.Signer
		alg x509.SignatureAlgorithm
	}{
		wire.RSAPKCS1SHA256:  {rsaKey, x509.SHA256WithRSA},
		wire.RSAPKCS1SHA384:  {rsaKey, x509.SHA384WithRSA},
		wire.RSAPKCS1SHA512:  {rsaKey, x509.SHA512WithRSA},
		wire.RSAPSSSHA256:    {rsaKey, x509.SHA256WithRSAPSS},
		wire.RSAPSSSHA384:    {rsaKey, x509.SHA384WithRSAPSS},
		wire.RSAPSSSHA512:    {rsaKey, x509.SHA512WithRSAPSS},
		wire.ECDSAP256SHA256: {ec(elliptic.P256()), x509.ECDSAWithSHA256},
		wire.ECDSAP384SHA384: {ec(elliptic.P384()), x509.ECDSAWithSHA384},
		wire.ECDSAP521SHA512: {ec(elliptic.P521()), x509.ECDSAWithSHA512},
		wire.Ed25519:         {edKey, x509.PureEd25519},
		wire.MLDSA44:         {mldsaKey(mldsa.MLDSA44()), x509.MLDSA44},
		wire.MLDSA65:         {mldsaKey(mldsa.MLDSA65()), x509.MLDSA65},
		wire.MLDSA87:         {mldsaKey(mldsa.MLDSA87()), x509.MLDSA87},
	}
}

func template() *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes([]byte{0x9a, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18}),
		Subject:      pkix.Name{CommonName: "Example Root", OrganizationalUnit: []string{"zwei", "eins"}, Country: []string{"DE"}},
		NotBefore:    now.Add(-30 * time.Second), NotAfter: now.AddDate(30, 0, 0),
		IsCA: true, MaxPathLen: 1, BasicConstraintsValid: true,
		KeyUsage:     x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		DNSNames:     []string{"example.com", "www.example.com"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		SubjectKeyId: []byte{1, 2, 3, 4},
		OCSPServer:   []string{"http://ocsp.example.com"},
	}
}
