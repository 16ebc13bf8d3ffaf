package ca

import (
	"crypto"
	"crypto/x509"
	"fmt"
	"strings"

	"github.com/hsmpki/hsmpki/pkid/issuance"
	"github.com/hsmpki/hsmpki/pkid/role"
	"github.com/hsmpki/hsmpki/pkid/store"
)

// newIssuer is an issuer with all that its certificate allows; what it does not
// allow is told in warnings. It is not stored, and has no key yet.
func newIssuer(id string, der []byte) (*Issuer, []string, error) {
	i := &Issuer{ID: id, DER: der, LeafNotAfter: role.BeyondErr}
	if err := i.complete(); err != nil {
		return nil, nil, err
	}
	var warnings []string
	for _, usage := range AllUsages {
		if err := i.allows(usage); err != nil {
			warnings = append(warnings, fmt.Sprintf("Issuer %s (%s) does not get the usage %s: %v", id, i.Certificate.Subject, usage, err))
			continue
		}
		i.Usage = append(i.Usage, usage)
	}
	return i, warnings, nil
}

// allows says why the issuer's certificate does not allow a usage, or nil.
func (i *Issuer) allows(usage string) error {
	if usage != usageIssue && usage != usageCRL {
		return nil
	}
	if _, err := issuance.NewIssuer(i.Certificate, issuance.URLs{}); err != nil {
		return err
	}
	if usage == usageCRL && i.Certificate.KeyUsage&x509.KeyUsageCRLSign == 0 {
		return fmt.Errorf("the certificate lacks the key usage CRLSign")
	}
	return nil
}

// holds reports whether the key is that of the issuer's certificate.
func (i *Issuer) holds(k *Key) bool {
	public, ok := k.hsm.Public.(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(i.Certificate.PublicKey)
}

// take gives the issuer its key. One that makes PSS signatures only has to sign
// CRLs with them, too.
func (i *Issuer) take(k *Key) error {
	i.KeyID = k.ID
	if i.CRLAlgorithm == "" && k.PSSOnly {
		i.CRLAlgorithm = crlAlgorithmName(x509.SHA256WithRSAPSS)
	}
	return i.complete()
}

// putIssuer writes an issuer into view and store.
func (a *Authority) putIssuer(v *view, tx store.Tx, i *Issuer) error {
	v.issuers[i.ID] = i
	return putJSON(tx, a.space.Issuer(i.ID), i)
}

// crlAlgorithms are the values of revocation_signature_algorithm, in lower
// case, in which they are compared.
var crlAlgorithms = func() map[string]x509.SignatureAlgorithm {
	byName := map[string]x509.SignatureAlgorithm{"pureed25519": x509.PureEd25519}
	for algorithm, name := range crlAlgorithmNames {
		byName[strings.ToLower(name)] = algorithm
	}
	return byName
}()

var crlAlgorithmNames = map[x509.SignatureAlgorithm]string{
	x509.SHA256WithRSA: "SHA256WithRSA", x509.SHA384WithRSA: "SHA384WithRSA", x509.SHA512WithRSA: "SHA512WithRSA",
	x509.SHA256WithRSAPSS: "SHA256WithRSAPSS", x509.SHA384WithRSAPSS: "SHA384WithRSAPSS", x509.SHA512WithRSAPSS: "SHA512WithRSAPSS",
	x509.ECDSAWithSHA256: "ECDSAWithSHA256", x509.ECDSAWithSHA384: "ECDSAWithSHA384", x509.ECDSAWithSHA512: "ECDSAWithSHA512",
	x509.PureEd25519: "Ed25519",
	x509.MLDSA44:     "ML-DSA-44", x509.MLDSA65: "ML-DSA-65", x509.MLDSA87: "ML-DSA-87",
}

// crlAlgorithmName is an algorithm in the API's spelling.
func crlAlgorithmName(algorithm x509.SignatureAlgorithm) string { return crlAlgorithmNames[algorithm] }
