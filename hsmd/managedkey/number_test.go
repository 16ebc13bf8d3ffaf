package managedkey_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/hsmpki/hsmpki/hsmd/managedkey"
)

func tlv(tag byte, contents ...[]byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(asn1.Tag(tag), func(b *cryptobyte.Builder) {
		for _, c := range contents {
			b.AddBytes(c)
		}
	})
	return b.BytesOrPanic()
}

// TestNumber: a key is itself in each encoding that a reader may take.
func TestNumber(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	id := tlv(0x30, []byte("\x06\x07\x2a\x86\x48\xce\x3d\x02\x01"), []byte("\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"))
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	hybrid := append([]byte{6 | byte(key.Y.Bit(0))}, point[1:]...)
	for what, other := range map[string][]byte{
		"the same":   der,
		"compressed": tlv(0x30, id, tlv(3, []byte{0}, elliptic.MarshalCompressed(elliptic.P256(), key.X, key.Y))),
		"hybrid":     tlv(0x30, id, tlv(3, []byte{0}, hybrid)),
		"without parameters": tlv(0x30, tlv(0x30, []byte("\x06\x07\x2a\x86\x48\xce\x3d\x02\x01")),
			tlv(3, []byte{0}, point)),
	} {
		if !bytes.Equal(managedkey.Number(der), managedkey.Number(other)) {
			t.Errorf("%s is not known again", what)
		}
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	rsaDER, err := x509.MarshalPKIXPublicKey(rsaKey.Public())
	if err != nil {
		t.Fatal(err)
	}
	pss := tlv(0x30, tlv(0x30, []byte("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a")), tlv(3, []byte{0}, x509.MarshalPKCS1PublicKey(&rsaKey.PublicKey)))
	if !bytes.Equal(managedkey.Number(rsaDER), managedkey.Number(pss)) {
		t.Error("RSA is not known again as RSASSA-PSS")
	}
	if bytes.Equal(managedkey.Number(rsaDER), managedkey.Number(der)) || managedkey.Number(nil) != nil {
		t.Error("different keys are the same")
	}
}
