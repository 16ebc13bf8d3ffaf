package ca

import "crypto/x509"

// ParseBundle is parseBundle: the certificates, and how many private keys.
func ParseBundle(text string) ([]*x509.Certificate, int, error) {
	b, err := parseBundle(text)
	if err != nil {
		return nil, 0, err
	}
	return b.certificates, b.privateKeys, nil
}

// Fill is fill.
var Fill = fill

// With is URLs.with.
func (u URLs) With(c URLChange) (URLs, error) { return u.with(c) }
