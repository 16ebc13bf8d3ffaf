// Command pqverify judges what a CA with ML-DSA keys has made: a certificate up
// to its roots, the CRLs of the CAs on the way, and an OCSP answer. It imports
// the standard library and nothing of ours, as a relying party has it, and is
// run by the tests of a post-quantum CA.
//
//	pqverify -roots FILE -intermediates FILE -certificate FILE [-crls FILE] [-ocsp FILE]
//
// The files are PEM, but for the OCSP answer, which is DER. What it found is
// JSON on stdout; where something does not hold it fails and says what.
package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/mldsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"flag"
	"fmt"
	"os"
)

// found is what was verified.
type found struct {
	Keys       []string // of the certificates, from the end entity up to the root
	Signatures []string // on them
	Revoked    []string // serial numbers in the CRLs, in hexadecimal
	OCSP       string   // good or revoked
	Responder  string   // key that signed the OCSP answer
}

func main() {
	roots := flag.String("roots", "", "file with the trusted certificates")
	intermediates := flag.String("intermediates", "", "file with certificates of CAs below")
	certificate := flag.String("certificate", "", "file with the certificate to judge")
	crls := flag.String("crls", "", "file with CRLs of CAs on the way")
	answer := flag.String("ocsp", "", "file with an OCSP answer about the certificate")
	flag.Parse()
	f, err := verify(*roots, *intermediates, *certificate, *crls, *answer)
	if err != nil {
		fmt.Fprintln(os.Stderr, "pqverify:", err)
		os.Exit(1)
	}
	json.NewEncoder(os.Stdout).Encode(f)
}

func verify(roots, intermediates, certificate, crls, answer string) (*found, error) {
	trusted, err := pool(roots)
	if err != nil {
		return nil, err
	}
	between, err := pool(intermediates)
	if err != nil {
		return nil, err
	}
	leaves, err := certificates(certificate)
	if err != nil || len(leaves) != 1 {
		return nil, fmt.Errorf("%s has %d certificates: %w", certificate, len(leaves), err)
	}
	chains, err := leaves[0].Verify(x509.VerifyOptions{Roots: trusted, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if err != nil {
		return nil, err
	}
	f := new(found)
	for _, c := range chains[0] {
		f.Keys = append(f.Keys, keyName(c.PublicKey))
		f.Signatures = append(f.Signatures, c.SignatureAlgorithm.String())
	}
	if crls != "" {
		if f.Revoked, err = revoked(crls, chains[0][1:]); err != nil {
			return nil, err
		}
	}
	if answer != "" {
		if f.OCSP, f.Responder, err = status(answer, chains[0][0], chains[0][1]); err != nil {
			return nil, fmt.Errorf("OCSP: %w", err)
		}
	}
	return f, nil
}

func keyName(key crypto.PublicKey) string {
	switch key := key.(type) {
	case *mldsa.PublicKey:
		return key.Parameters().String()
	case *ecdsa.PublicKey:
		return key.Params().Name
	}
	return fmt.Sprintf("%T", key)
}

// revoked gives the serial numbers in the CRLs, each of which has to be signed by
// one of the CAs.
func revoked(file string, cas []*x509.Certificate) (serials []string, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
lists:
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			return serials, nil
		}
		text = rest
		list, err := x509.ParseRevocationList(block.Bytes)
		if err != nil {
			return nil, err
		}
		for _, ca := range cas {
			if list.CheckSignatureFrom(ca) == nil {
				for _, e := range list.RevokedCertificateEntries {
					serials = append(serials, fmt.Sprintf("%x", e.SerialNumber))
				}
				continue lists
			}
		}
		return nil, fmt.Errorf("a CRL of %q is signed by none of the CAs on the way", list.Issuer)
	}
}

func pool(file string) (*x509.CertPool, error) {
	list, err := certificates(file)
	p := x509.NewCertPool()
	for _, c := range list {
		p.AddCert(c)
	}
	return p, err
}

func certificates(file string) (list []*x509.Certificate, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			return list, nil
		}
		text = rest
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		list = append(list, c)
	}
}
