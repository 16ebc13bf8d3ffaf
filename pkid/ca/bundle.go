package ca

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"strings"
)

// Bounds of what can be imported at once: octets of PEM and certificates. minPEM
// is less than any certificate has.
const (
	maxBundle       = 1 << 20
	maxCertificates = 200
	minPEM          = 75
)

// bundle is what stands in a PEM text.
type bundle struct {
	certificates []*x509.Certificate // CAs, each once, in their order
	privateKeys  int                 // how many; they are not looked at
}

// parseBundle reads CA certificates in PEM, in any order. CRLs and parameters
// of curves are passed over, private keys counted. A block that does not decode
// is refused, rather than passed over as encoding/pem does.
func parseBundle(text string) (*bundle, error) {
	switch {
	case len(strings.TrimSpace(text)) < minPEM:
		return nil, refuse("provided data for import was too short; perhaps a path was passed to the API rather than the contents of a PEM file")
	case len(text) > maxBundle:
		return nil, refuse("provided data for import has %d octets, where %d are possible", len(text), maxBundle)
	}
	// Files that end without a newline are joined into this by cat.
	text = strings.ReplaceAll(text, "----------BEGIN ", "-----\n-----BEGIN ")
	b := &bundle{}
	rest, blocks := []byte(text), 0
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		blocks++
		if err := b.add(block, blocks); err != nil {
			return nil, err
		}
	}
	switch begun := strings.Count(text, "-----BEGIN "); {
	case blocks == 0:
		return nil, refuse("provided data for import has no PEM block in it")
	case begun != blocks:
		return nil, refuse("provided data for import has %d PEM blocks of which %d do not decode", begun, begun-blocks)
	}
	return b, nil
}

// add takes the nth block.
func (b *bundle) add(block *pem.Block, n int) error {
	switch block.Type {
	case "CERTIFICATE", "X509 CERTIFICATE":
	case "X509 CRL", "EC PARAMETERS":
		return nil
	default:
		if strings.HasSuffix(block.Type, "PRIVATE KEY") {
			b.privateKeys++
			return nil
		}
		return refuse("PEM block %d is a %q, where CA certificates are expected", n, block.Type)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	switch {
	case err != nil:
		return refuse("PEM block %d: unable to parse certificate: %v", n, err)
	case !cert.BasicConstraintsValid || !cert.IsCA:
		return refuse("Refusing to import non-CA certificate: PEM block %d (%s)", n, cert.Subject)
	case len(cert.RawSubject) <= 2 || cert.PublicKey == nil:
		return refuse("Refusing to import a CA certificate without a subject or with a key of an unknown kind: PEM block %d", n)
	}
	for _, c := range b.certificates {
		if bytes.Equal(c.Raw, cert.Raw) {
			return nil
		}
	}
	if len(b.certificates) == maxCertificates {
		return refuse("more than %d certificates in one import", maxCertificates)
	}
	b.certificates = append(b.certificates, cert)
	return nil
}

// maxCertificate bounds one certificate in PEM, in octets.
const maxCertificate = 64 << 10

// ParseCertificate reads one certificate in PEM. The error is a refusal.
func ParseCertificate(text string) (*x509.Certificate, error) {
	if len(text) > maxCertificate {
		return nil, refuse("certificate is longer than %d octets", maxCertificate)
	}
	block, rest := pem.Decode([]byte(text))
	switch {
	case block == nil:
		return nil, refuse("certificate could not be PEM-decoded")
	case len(bytes.TrimSpace(rest)) > 0:
		return nil, refuse("certificate contains data after the first PEM block")
	case block.Type != "CERTIFICATE" && block.Type != "X509 CERTIFICATE":
		return nil, refuse("certificate is a PEM block of type %q", block.Type)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, refuse("error parsing certificate: %v", err)
	}
	return cert, nil
}
