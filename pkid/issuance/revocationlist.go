package issuance

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// RevocationList is what a CRL is to say beside its entries (RFC 5280, section
// 5): of version 2, with a CRL number, an authority key identifier and a
// nextUpdate.
type RevocationList struct {
	// Number must be greater than that of each earlier CRL of the issuer.
	Number *big.Int
	// Base makes a delta CRL (section 5.2.4): the number of the complete CRL
	// that it adds to. nil: a complete one.
	Base *big.Int
	// ThisUpdate and NextUpdate are cut to whole seconds.
	ThisUpdate, NextUpdate time.Time
	// Algorithm 0 is what the issuer's key signs certificates with by default.
	Algorithm x509.SignatureAlgorithm
	// FreshestCRL are the URLs of the delta CRL, for a complete one (section
	// 5.2.6).
	FreshestCRL []string
	// Extensions are further ones.
	Extensions []pkix.Extension
	// Look, if not nil, sees the TBSCertList (DER, not to be changed) and a dummy
	// of the signature's length before IssueRevocationList asks the key; its error
	// ends the act.
	Look func(tbs, dummy []byte) error
}

var (
	oidCRLNumber         = asn1.ObjectIdentifier{2, 5, 29, 20}
	oidDeltaCRLIndicator = asn1.ObjectIdentifier{2, 5, 29, 27}
)

// StreamSigner has a message signed that it reads to its end, as a CRL may be
// larger than one wants to hold. opts are those of [crypto.MessageSigner].
type StreamSigner interface {
	Public() crypto.PublicKey
	SignStream(message io.Reader, opts crypto.SignerOpts) ([]byte, error)
}

// PreparedList is a CRL that lacks its entries and its signature.
type PreparedList struct {
	issuer    *Issuer
	algorithm x509.SignatureAlgorithm
	head      []byte // of the TBSCertList, up to the entries
	entries   int64  // octets of these
	tail      []byte // what follows them
}

// PrepareRevocationList encodes what stands around that many octets of entries.
// The issuer's certificate must allow signing CRLs (cRLSign), or have no key
// usage.
func (i *Issuer) PrepareRevocationList(list *RevocationList, entries int64) (*PreparedList, error) {
	if !i.MaySignCRLs() {
		return nil, errors.New("revocation list: the issuer's key usage does not allow signing CRLs")
	}
	if list.Number == nil || list.Number.Sign() < 0 || list.Number.BitLen() > 159 {
		return nil, errors.New("revocation list: no number of at most 20 octets (RFC 5280, section 5.2.3)")
	}
	p := &PreparedList{issuer: i, algorithm: list.Algorithm, entries: entries}
	var err error
	if p.algorithm == 0 {
		if p.algorithm, err = signatureAlgorithm(i.certificate.PublicKey, 0, false); err != nil {
			return nil, fmt.Errorf("revocation list: %w", err)
		}
	}
	if algorithmDER[p.algorithm] == nil {
		return nil, fmt.Errorf("revocation list: no signature algorithm %v", p.algorithm)
	}
	if p.tail, err = i.listExtensions(list); err != nil {
		return nil, fmt.Errorf("revocation list: %w", err)
	}
	b := cryptobyte.NewBuilder(make([]byte, 0, 512))
	b.AddASN1Int64(1) // v2
	b.AddBytes(algorithmDER[p.algorithm])
	b.AddBytes(i.certificate.RawSubject)
	addTime(b, list.ThisUpdate)
	addTime(b, list.NextUpdate)
	if entries > 0 { // an empty list is left out (section 5.1.2.6)
		b.AddBytes(sequenceHeader(entries))
	}
	body, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("revocation list: %w", err)
	}
	p.head = append(sequenceHeader(int64(len(body))+entries+int64(len(p.tail))), body...)
	return p, nil
}

// MaySignCRLs tells whether the issuer's certificate allows that: it has the key
// usage cRLSign, or no key usage at all (RFC 5280, section 4.2.1.3).
func (i *Issuer) MaySignCRLs() bool {
	return i.certificate.KeyUsage == 0 || i.certificate.KeyUsage&x509.KeyUsageCRLSign != 0
}

func (i *Issuer) listExtensions(list *RevocationList) ([]byte, error) {
	var g gathering
	g.list = append(g.list, i.authorityKeyID)
	g.add(oidCRLNumber, func() (pkix.Extension, error) {
		return extension(oidCRLNumber, false, func(b *cryptobyte.Builder) { b.AddASN1BigInt(list.Number) })
	})
	if list.Base != nil {
		g.add(oidDeltaCRLIndicator, func() (pkix.Extension, error) {
			return extension(oidDeltaCRLIndicator, true, func(b *cryptobyte.Builder) { b.AddASN1BigInt(list.Base) })
		})
	}
	if len(list.FreshestCRL) > 0 {
		g.add(oidFreshestCRL, func() (pkix.Extension, error) { return distributionPoints(oidFreshestCRL, list.FreshestCRL) })
	}
	for _, e := range list.Extensions {
		g.add(e.Id, func() (pkix.Extension, error) { return e, nil })
	}
	if g.err != nil {
		return nil, g.err
	}
	b := cryptobyte.NewBuilder(make([]byte, 0, 256))
	addExtensionList(b, 0, g.list)
	return b.Bytes()
}

// sequenceHeader is identifier and length of a SEQUENCE of that many octets.
func sequenceHeader(length int64) []byte {
	if length < 0x80 {
		return []byte{byte(cbasn1.SEQUENCE), byte(length)}
	}
	octets := big.NewInt(length).Bytes()
	return append([]byte{byte(cbasn1.SEQUENCE), 0x80 | byte(len(octets))}, octets...)
}

// Size is the length of the TBSCertList in octets.
func (p *PreparedList) Size() int64 {
	return int64(len(p.head)) + p.entries + int64(len(p.tail))
}

// Look lets somebody see the TBSCertList with its entries, and a dummy of the
// signature's length. A list that is too long to be held whole is looked at as
// another one that was prepared alike for some of its entries.
func (p *PreparedList) Look(entries []byte, look func(tbs, dummy []byte) error) error {
	if look == nil {
		return nil
	}
	if int64(len(entries)) != p.entries {
		return errors.New("revocation list: looked at with other entries than it was prepared for")
	}
	dummy, err := dummySignature(p.issuer.certificate.PublicKey)
	if err != nil {
		return fmt.Errorf("revocation list: %w", err)
	}
	return look(slices.Concat(p.head, entries, p.tail), dummy)
}

// Sign has the list signed and verifies the signature. entries gives the DER of
// the entries, one after the other; the TBSCertList is written to w as the
// signer reads it. The CRL is before, that, and after. What goes wrong with the
// key is the signer's error, wrapped.
func (p *PreparedList) Sign(signer StreamSigner, entries io.Reader, w io.Writer) (before, after []byte, err error) {
	if err := samePublicKey(signer.Public(), p.issuer.certificate.PublicKey); err != nil {
		return nil, nil, fmt.Errorf("revocation list: %w", err)
	}
	check := newChecker(p.algorithm)
	counted := &counter{w: io.MultiWriter(w, check)}
	message := io.TeeReader(io.MultiReader(bytes.NewReader(p.head), io.LimitReader(entries, p.entries), bytes.NewReader(p.tail)), counted)
	signature, err := signer.SignStream(message, signerOptions(p.algorithm))
	if err != nil {
		return nil, nil, fmt.Errorf("sign revocation list: %w", err)
	}
	if counted.n != p.Size() {
		return nil, nil, fmt.Errorf("revocation list: %d octets were signed where %d were prepared", counted.n, p.Size())
	}
	if err := check.verify(p.issuer.certificate.PublicKey, signature); err != nil {
		return nil, nil, fmt.Errorf("sign revocation list: the signature does not verify: %w", err)
	}
	b := cryptobyte.NewBuilder(make([]byte, 0, 1024))
	b.AddBytes(algorithmDER[p.algorithm])
	b.AddASN1BitString(signature)
	if after, err = b.Bytes(); err != nil {
		return nil, nil, fmt.Errorf("revocation list: %w", err)
	}
	return sequenceHeader(p.Size() + int64(len(after))), after, nil
}

// IssueRevocationList has a list signed whose entries are held in memory, and
// returns it as DER.
func (i *Issuer) IssueRevocationList(list *RevocationList, entries []byte, signer StreamSigner) ([]byte, error) {
	p, err := i.PrepareRevocationList(list, int64(len(entries)))
	if err != nil {
		return nil, err
	}
	if err := p.Look(entries, list.Look); err != nil {
		return nil, err
	}
	var tbs bytes.Buffer
	before, after, err := p.Sign(signer, bytes.NewReader(entries), &tbs)
	if err != nil {
		return nil, err
	}
	return append(append(before, tbs.Bytes()...), after...), nil
}

// counter counts what is written through it.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
