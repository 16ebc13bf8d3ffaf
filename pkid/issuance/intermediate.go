package issuance

import (
	"crypto/x509"
	"time"
)

// PrepareCA draws a serial number and builds a CA certificate below this issuer,
// to be issued by Issuer.Issue. Errors are as those of Issuer.Prepare.
//
// Without a path length it has as much of the issuer's as is left.
func (i *Issuer) PrepareCA(req *CARequest, now time.Time) (*Prepared, error) {
	parts, err := req.parts(now)
	if err != nil {
		return nil, err
	}
	algorithm, err := signatureAlgorithm(i.certificate.PublicKey, req.SignatureBits, req.PSS)
	if err != nil {
		return nil, err
	}
	if samePublicKey(i.certificate.PublicKey, req.PublicKey) == nil {
		return nil, Refuse("the public key is the issuer's own; a root is made anew with its key by root/generate/existing")
	}
	length, err := i.lengthBelow(req.MaxPathLength)
	if err != nil {
		return nil, err
	}
	extensions, err := req.extensions(parts.keyID, i.authorityKeyID, i.authorityInfo, i.distribution, length)
	if err != nil {
		return nil, err
	}
	tbs := tbsCertificate{
		serial:     parts.serial,
		algorithm:  algorithmDER[algorithm],
		issuer:     i.certificate.RawSubject,
		subject:    parts.subject,
		notBefore:  req.NotBefore.Truncate(time.Second),
		notAfter:   req.NotAfter.Truncate(time.Second),
		publicKey:  parts.spki,
		extensions: extensions,
	}
	return i.prepareCA(&tbs, algorithm, now)
}

// prepareCA is prepare for what must be acceptable, now, on one of the issuer's
// paths.
func (i *Issuer) prepareCA(tbs *tbsCertificate, algorithm x509.SignatureAlgorithm, now time.Time) (*Prepared, error) {
	if err := checkIssuerValidity(i.certificate, now); err != nil {
		return nil, err
	}
	p, err := prepare(tbs, algorithm, i.certificate.PublicKey)
	if err != nil {
		return nil, err
	}
	p.issuer = i
	if err := i.permits(p.parsed); err != nil {
		return nil, err
	}
	return p, nil
}

// lengthBelow is the path length of a CA certificate below, where asked is
// wanted.
func (i *Issuer) lengthBelow(asked int) (int, error) {
	left, err := i.pathLength()
	switch {
	case err != nil:
		return 0, err
	case left == -1:
		return asked, nil
	case left == 0:
		return 0, Refuse("signing certificate has a max path length of zero, and cannot issue further CA certificates")
	case asked > left-1:
		return 0, Refuse("max_path_length is %d, where the signing certificate's own leaves %d at most", asked, left-1)
	case asked == -1:
		return left - 1, nil
	}
	return asked, nil
}
