package ledger

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"slices"
	"strings"
	"unicode"

	_ "crypto/sha1"   // CertIDs of OCSP are made with it
	_ "crypto/sha512" // and may be with these

	"github.com/cockroachdb/pebble/v2"
	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Issuer is who issues: a Name in DER, and a key pair by the SHA-256 of its
// SubjectPublicKeyInfo. Names that a reader may take for the same (RFC 5280,
// section 7.1) are the same here.
type Issuer struct {
	Name []byte
	Key  [sha256.Size]byte
	// SPKI is the SubjectPublicKeyInfo itself. Without it, as a log has it of
	// certificates, OCSP does not find the issuer before it signs again.
	SPKI []byte
}

// NewIssuer makes one of a Name and a SubjectPublicKeyInfo.
func NewIssuer(name, spki []byte) Issuer {
	return Issuer{Name: name, Key: sha256.Sum256(spki), SPKI: spki}
}

func (i Issuer) digest() digest {
	h := sha256.New()
	h.Write(i.Key[:])
	h.Write(foldName(i.Name))
	return digest(h.Sum(nil)[:len(digest{})])
}

func nameDigest(name []byte) digest {
	sum := sha256.Sum256(foldName(name))
	return digest(sum[:len(digest{})])
}

// foldName writes a Name so that two which a reader may take for the same come
// out alike. Readers differ: some compare octets, some leave out case, spaces or
// the type of the string, some normalise as RFC 4518 says. An attacker would have
// a CRL signed under the spelling that the ledger has not seen, so whatever
// anybody leaves out is left out here. What is not read is taken as it is.
func foldName(name []byte) []byte {
	var out []byte
	var sequence cryptobyte.String
	in := cryptobyte.String(name)
	if !in.ReadASN1(&sequence, der.SEQUENCE) {
		return name
	}
	for !sequence.Empty() {
		var set cryptobyte.String
		if !sequence.ReadASN1(&set, der.SET) {
			return name
		}
		var attributes []string
		for !set.Empty() {
			var attribute, id, value cryptobyte.String
			var tag der.Tag
			if !set.ReadASN1(&attribute, der.SEQUENCE) || !attribute.ReadASN1(&id, der.OBJECT_IDENTIFIER) || !attribute.ReadAnyASN1(&value, &tag) {
				return name
			}
			attributes = append(attributes, lengths(id, []byte(foldString(tag, value))))
		}
		slices.Sort(attributes)
		out = append(out, lengths([]byte(strings.Join(attributes, "")))...)
	}
	return out
}

// lengths writes octets one after the other, each after its length.
func lengths(parts ...[]byte) string {
	var b strings.Builder
	for _, p := range parts {
		fmt.Fprintf(&b, "%d:%s", len(p), p)
	}
	return b.String()
}

// tagBMP is BMPString's.
const tagBMP = der.Tag(30)

func foldString(tag der.Tag, value []byte) string {
	if tag == tagBMP { // whose octets may look like ASCII
		return foldUnicode(tag, value)
	}
	plain := make([]byte, 0, len(value))
	for _, c := range value {
		switch {
		case c >= 0x80 || c == 0:
			return foldUnicode(tag, value)
		case 'A' <= c && c <= 'Z':
			plain = append(plain, c+'a'-'A')
		case c > ' ':
			plain = append(plain, c)
		}
	}
	return string(plain)
}

// mappedToNothing are letters that RFC 4518, section 2.2, leaves out and that are of
// no class of Unicode's that is left out whole.
var mappedToNothing = &unicode.RangeTable{R16: []unicode.Range16{
	{Lo: 0x034f, Hi: 0x034f, Stride: 1}, {Lo: 0x1806, Hi: 0x1806, Stride: 1}, {Lo: 0x180b, Hi: 0x180d, Stride: 1},
	{Lo: 0xfe00, Hi: 0xfe0f, Stride: 1}, {Lo: 0xfffc, Hi: 0xfffc, Stride: 1},
}}

func foldUnicode(tag der.Tag, value []byte) string {
	text := string(value)
	switch tag {
	case tagBMP:
		runes := make([]rune, 0, len(value)/2)
		for ; len(value) > 1; value = value[2:] {
			runes = append(runes, rune(value[0])<<8|rune(value[1]))
		}
		text = string(runes)
	case der.T61String: // as everybody reads it, Latin-1
		runes := make([]rune, len(value))
		for i, c := range value {
			runes[i] = rune(c)
		}
		text = string(runes)
	}
	text = strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.C, unicode.Z, unicode.White_Space, mappedToNothing) {
			return -1
		}
		return r
	}, norm.NFKC.String(text))
	return norm.NFKC.String(cases.Fold().String(norm.NFKD.String(text)))
}

// certIDHashes are the hashes of OCSP CertIDs: contents octets of the object
// identifier, and hash.
var certIDHashes = map[string]crypto.Hash{
	"\x2b\x0e\x03\x02\x1a":                 crypto.SHA1,
	"\x60\x86\x48\x01\x65\x03\x04\x02\x01": crypto.SHA256,
	"\x60\x86\x48\x01\x65\x03\x04\x02\x02": crypto.SHA384,
	"\x60\x86\x48\x01\x65\x03\x04\x02\x03": crypto.SHA512,
}

// maxKnown bounds the issuers whose index is known to be written.
const maxKnown = 4096

// index adds to b how OCSP names the issuer, where that was not written yet.
func (l *Ledger) index(b *pebble.Batch, i Issuer, id digest) (written func(), err error) {
	if i.SPKI == nil {
		return func() {}, nil
	}
	spelled := sha256.Sum256(append(append([]byte{}, i.Name...), i.Key[:]...))
	if _, known := l.known.Load(spelled); known {
		return func() {}, nil
	}
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		PublicKey asn1.BitString
	}
	if rest, err := asn1.Unmarshal(i.SPKI, &info); err != nil || len(rest) > 0 {
		return nil, fmt.Errorf("the issuer's public key cannot be read: %v", err)
	}
	for oid, hash := range certIDHashes {
		key := hashesKey(oid, hashOf(hash, info.PublicKey.Bytes), hashOf(hash, i.Name))
		if err := b.Set(key, id[:], nil); err != nil {
			return nil, err
		}
	}
	return func() {
		if l.indexed.Add(1) > maxKnown {
			l.known.Clear()
			l.indexed.Store(0)
		}
		l.known.Store(spelled, true)
	}, nil
}

func hashOf(hash crypto.Hash, octets []byte) []byte {
	h := hash.New()
	h.Write(octets)
	return h.Sum(nil)
}
