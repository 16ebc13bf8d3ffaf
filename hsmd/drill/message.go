package drill

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"time"
)

// nobodysKey is a public key whose private half nobody has: its x is the first
// hash of these words and a number that is on the curve. Each certificate that a
// drill gets is for it, and so is of no use to anybody, whatever it says.
func nobodysKey() *ecdsa.PublicKey {
	for n := byte(0); ; n++ {
		x := sha256.Sum256(append([]byte("hsmd drill: nobody has this key"), n))
		if x, y := elliptic.UnmarshalCompressed(elliptic.P256(), append([]byte{2}, x[:]...)); x != nil {
			point := make([]byte, 65)
			point[0] = 4
			x.FillBytes(point[1:33])
			y.FillBytes(point[33:])
			if key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point); err == nil {
				return key
			}
		}
	}
}

// certificate makes the to-be-signed bytes of a server's certificate of two
// minutes, changed in one way.
func (k *key) certificate(change func(*x509.Certificate)) ([]byte, error) {
	now := time.Now()
	c := &x509.Certificate{
		SerialNumber: newSerial(), Subject: pkix.Name{CommonName: "hsmd drill"}, DNSNames: []string{k.target.DNSName},
		NotBefore: now.Add(-time.Minute), NotAfter: now.Add(time.Minute), BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	var public any = k.target.subject
	if change != nil {
		change(c)
	}
	if c.PublicKey != nil {
		public = c.PublicKey
	}
	der, err := x509.CreateCertificate(rand.Reader, c, k.target.issuer(), public, k.target.throwaway)
	return k.toBeSigned(der, 2, err)
}

// list makes the to-be-signed bytes of a CRL. It is in the drill's name, never in
// the CA's: it has no effect on what the CA revokes, nor on its numbers.
func (k *key) list(number int64, next time.Duration, revoked ...*big.Int) ([]byte, error) {
	now := time.Now()
	l := &x509.RevocationList{Number: big.NewInt(number), ThisUpdate: now, NextUpdate: now.Add(next)}
	for _, serial := range revoked {
		l.RevokedCertificateEntries = append(l.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: serial, RevocationTime: now})
	}
	issuer := &x509.Certificate{RawSubject: k.target.name, SubjectKeyId: []byte("hsmd drill"), KeyUsage: x509.KeyUsageCRLSign}
	der, err := x509.CreateRevocationList(rand.Reader, l, issuer, k.target.throwaway)
	return k.toBeSigned(der, 1, err)
}

// toBeSigned takes the first part out of what a throwaway key has signed, and
// names k's own algorithm in it, at its place.
func (k *key) toBeSigned(der []byte, place int, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	var outer struct{ TBS, Algorithm, Signature asn1.RawValue }
	if _, err := asn1.Unmarshal(der, &outer); err != nil {
		return nil, err
	}
	var parts []asn1.RawValue
	if _, err := asn1.Unmarshal(outer.TBS.FullBytes, &parts); err != nil {
		return nil, err
	}
	parts[place] = asn1.RawValue{FullBytes: k.algorithm}
	return asn1.Marshal(parts)
}

// good makes an OCSP ResponseData that says "good" of a serial number of the
// drill's name.
func (k *key) good(serial *big.Int) ([]byte, error) {
	type certID struct {
		Hash      pkix.AlgorithmIdentifier
		Name, Key []byte
		Serial    *big.Int
	}
	type single struct {
		ID   certID
		Good asn1.RawValue
		This time.Time `asn1:"generalized"`
		Next time.Time `asn1:"generalized,explicit,tag:0"`
	}
	var public struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(k.spki, &public); err != nil {
		return nil, err
	}
	now := time.Now().UTC().Truncate(time.Second)
	name, keyHash := sha1.Sum(k.target.name), sha1.Sum(public.Key.Bytes)
	sha := pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}, Parameters: asn1.NullRawValue}
	return asn1.Marshal(struct {
		Responder asn1.RawValue
		Produced  time.Time `asn1:"generalized"`
		Responses []single
	}{
		asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 1, IsCompound: true, Bytes: k.target.name}, now,
		[]single{{certID{sha, name[:], keyHash[:], serial}, asn1.RawValue{Class: asn1.ClassContextSpecific}, now, now.Add(time.Minute)}},
	})
}

// newSerial is a random number of 127 bits: another drill's is another.
func newSerial() *big.Int {
	octets := make([]byte, 16)
	rand.Read(octets)
	octets[0] = octets[0]&0x7f | 0x40
	return new(big.Int).SetBytes(octets)
}
