package approval

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"math/big"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Words says for people what a message is that is to be signed, a line each. It
// was recognised before; what cannot be read here is said to be so.
func Words(kind string, message []byte) []string {
	var lines []string
	var err error
	switch kind {
	case "certificate":
		lines, err = certificate(message)
	case "crl":
		lines, err = revocationList(message)
	case "csr":
		lines, err = request(message)
	default:
		lines = []string{fmt.Sprintf("%s, %d octets", kind, len(message))}
	}
	if err != nil {
		lines = []string{fmt.Sprintf("%s that cannot be shown (%v): look at the bytes before you approve it", kind, err)}
	}
	if surplus := len(lines) - maxLines; surplus > 0 {
		lines = append(lines[:maxLines], fmt.Sprintf("and %d lines more: look at the bytes before you approve it", surplus))
	}
	for i := range lines {
		lines[i] = clip(Printable(lines[i]))
	}
	return lines
}

// Bounds of what is said of one message: lines, and octets of a line.
const (
	maxLines = 200
	maxLine  = 4000
)

// clip cuts a line that is too long, and says that it did.
func clip(line string) string {
	if len(line) <= maxLine {
		return line
	}
	at := maxLine
	for !utf8.RuneStart(line[at]) {
		at--
	}
	return fmt.Sprintf("%s… (%d octets more: look at the bytes before you approve it)", line[:at], len(line)-at)
}

// Printable keeps what a stranger wrote from moving the cursor or hiding text.
func Printable(line string) string {
	quoted := strconv.QuoteToGraphic(line)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}

func certificate(message []byte) ([]string, error) {
	c, err := x509.ParseCertificate(wrapped(message, 2))
	if err != nil {
		return nil, err
	}
	what := "a certificate, not of a CA, for"
	if c.IsCA {
		what = "the certificate of a CA for"
	}
	lines := []string{fmt.Sprintf("%s %s", what, c.Subject)}
	if c.IsCA {
		lines = append(lines, "which may certify "+depth(c))
	}
	lines = append(lines,
		fmt.Sprintf("issued by %s", c.Issuer),
		fmt.Sprintf("serial number %s", colons(c.SerialNumber)),
		fmt.Sprintf("from %s until %s", stamp(c.NotBefore), stamp(c.NotAfter)))
	if names := names(c.DNSNames, c.EmailAddresses, c.URIs); len(c.IPAddresses) > 0 || len(names) > 0 {
		for _, ip := range c.IPAddresses {
			names = append(names, "IP "+ip.String())
		}
		lines = append(lines, "names: "+strings.Join(names, ", "))
	}
	lines = append(lines, publicKey(c.PublicKeyAlgorithm, c.RawSubjectPublicKeyInfo))
	return append(lines, extensions(c)...), nil
}

func depth(c *x509.Certificate) string {
	switch {
	case c.MaxPathLen > 0 || c.MaxPathLenZero:
		return fmt.Sprintf("with at most %d CAs between it and a leaf", c.MaxPathLen)
	}
	return "CAs to any depth"
}

func names(dns, mail []string, uris []*url.URL) (all []string) {
	for _, n := range dns {
		all = append(all, "DNS "+n)
	}
	for _, n := range mail {
		all = append(all, "e-mail "+n)
	}
	for _, n := range uris {
		all = append(all, "URI "+n.String())
	}
	return all
}

func revocationList(message []byte) ([]string, error) {
	l, err := x509.ParseRevocationList(wrapped(message, 1))
	if err != nil {
		return nil, err
	}
	lines := []string{
		fmt.Sprintf("CRL number %s of %s", l.Number, l.Issuer),
		fmt.Sprintf("with %d entries", len(l.RevokedCertificateEntries)),
		fmt.Sprintf("from %s until %s", stamp(l.ThisUpdate), stamp(l.NextUpdate)),
	}
	lines = append(lines, octets(l.Extensions)...)
	for _, e := range l.RevokedCertificateEntries {
		lines = append(lines, fmt.Sprintf("revokes %s, of %s, reason %d", colons(e.SerialNumber), stamp(e.RevocationTime), e.ReasonCode))
	}
	return lines, nil
}

func request(message []byte) ([]string, error) {
	r, err := x509.ParseCertificateRequest(wrapped(message, -1))
	if err != nil {
		return nil, err
	}
	lines := []string{fmt.Sprintf("a request for a certificate for %s", r.Subject), publicKey(r.PublicKeyAlgorithm, r.RawSubjectPublicKeyInfo)}
	if names := names(r.DNSNames, r.EmailAddresses, r.URIs); len(names) > 0 {
		lines = append(lines, "names: "+strings.Join(names, ", "))
	}
	return lines, nil
}

func publicKey(algorithm x509.PublicKeyAlgorithm, spki []byte) string {
	sum := sha256.Sum256(spki)
	return fmt.Sprintf("public key %s, sha256 %s", algorithm, hex.EncodeToString(sum[:]))
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func colons(n *big.Int) string {
	var b strings.Builder
	for i, octet := range n.Bytes() {
		if i > 0 {
			b.WriteByte(':')
		}
		fmt.Fprintf(&b, "%02x", octet)
	}
	return b.String()
}

// wrapped makes of a message the structure that its signature would make of it,
// with an empty one, so that it can be read. field is where the message has the
// algorithm, counted from 0; in a request it has none, and any will do.
func wrapped(message []byte, field int) []byte {
	algorithm := asn1.RawValue{FullBytes: []byte{0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70}} // Ed25519
	if field >= 0 {
		var whole asn1.RawValue
		if _, err := asn1.Unmarshal(message, &whole); err != nil {
			return nil
		}
		rest := whole.Bytes
		var err error
		for range field + 1 {
			if rest, err = asn1.Unmarshal(rest, &algorithm); err != nil {
				return nil
			}
		}
	}
	out, err := asn1.Marshal(struct {
		Message, Algorithm asn1.RawValue
		Signature          asn1.BitString
	}{asn1.RawValue{FullBytes: message}, asn1.RawValue{FullBytes: algorithm.FullBytes}, asn1.BitString{Bytes: []byte{0}, BitLength: 8}})
	if err != nil {
		return nil
	}
	return out
}
