package main

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"os"
	"slices"
	"time"
)

// The structures of RFC 6960, section 4.2.1, with what our CA puts into them.
type ocspResponse struct {
	Status asn1.Enumerated
	Bytes  struct {
		Type     asn1.ObjectIdentifier
		Response []byte
	} `asn1:"explicit,tag:0"`
}

type basicResponse struct {
	Data         asn1.RawValue
	Algorithm    pkix.AlgorithmIdentifier
	Signature    asn1.BitString
	Certificates []asn1.RawValue `asn1:"explicit,tag:0,optional"`
}

type responseData struct {
	Responder  asn1.RawValue
	ProducedAt time.Time `asn1:"generalized"`
	Responses  []singleResponse
	Extensions []pkix.Extension `asn1:"explicit,tag:1,optional"`
}

type singleResponse struct {
	ID struct {
		Hash     pkix.AlgorithmIdentifier
		NameHash []byte
		KeyHash  []byte
		Serial   *big.Int
	}
	Status     asn1.RawValue
	ThisUpdate time.Time        `asn1:"generalized"`
	NextUpdate time.Time        `asn1:"generalized,explicit,tag:0,optional"`
	Extensions []pkix.Extension `asn1:"explicit,tag:1,optional"`
}

// status says what an answer has of a certificate, and which key signed it: the
// issuer's, or that of a responder which the issuer has certified for it.
func status(file string, c, issuer *x509.Certificate) (state, responder string, err error) {
	der, err := os.ReadFile(file)
	if err != nil {
		return "", "", err
	}
	var outer ocspResponse
	if rest, err := asn1.Unmarshal(der, &outer); err != nil || len(rest) > 0 || outer.Status != 0 {
		return "", "", fmt.Errorf("no successful answer: status %d, %v", outer.Status, err)
	}
	var basic basicResponse
	if rest, err := asn1.Unmarshal(outer.Bytes.Response, &basic); err != nil || len(rest) > 0 {
		return "", "", fmt.Errorf("BasicOCSPResponse: %v", err)
	}
	signer, err := basic.signer(issuer)
	if err != nil {
		return "", "", err
	}
	if err := signer.CheckSignature(algorithm(signer), basic.Data.FullBytes, basic.Signature.RightAlign()); err != nil {
		return "", "", err
	}
	var data responseData
	if rest, err := asn1.Unmarshal(basic.Data.FullBytes, &data); err != nil || len(rest) > 0 {
		return "", "", fmt.Errorf("ResponseData: %v", err)
	}
	state, err = data.about(c)
	return state, keyName(signer.PublicKey), err
}

func (r *basicResponse) signer(issuer *x509.Certificate) (*x509.Certificate, error) {
	if len(r.Certificates) == 0 {
		return issuer, nil
	}
	signer, err := x509.ParseCertificate(r.Certificates[0].FullBytes)
	if err != nil {
		return nil, err
	}
	if signer.Equal(issuer) {
		return issuer, nil
	}
	if err := signer.CheckSignatureFrom(issuer); err != nil {
		return nil, fmt.Errorf("the responder's certificate: %w", err)
	}
	if !slices.Contains(signer.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning) {
		return nil, errors.New("the responder's certificate is not for OCSP")
	}
	return signer, nil
}

func (d *responseData) about(c *x509.Certificate) (string, error) {
	for _, r := range d.Responses {
		if r.ID.Serial.Cmp(c.SerialNumber) != 0 {
			continue
		}
		if now := time.Now(); now.After(r.NextUpdate) || now.Add(time.Minute).Before(r.ThisUpdate) {
			return "", fmt.Errorf("the answer is for %s to %s", r.ThisUpdate, r.NextUpdate)
		}
		switch r.Status.Tag {
		case 0:
			return "good", nil
		case 1:
			return "revoked", nil
		}
	}
	return "", errors.New("the answer says nothing of the certificate")
}

// algorithm is what a responder's or issuer's key signs with.
func algorithm(c *x509.Certificate) x509.SignatureAlgorithm {
	byName := map[string]x509.SignatureAlgorithm{
		"P-256": x509.ECDSAWithSHA256, "P-384": x509.ECDSAWithSHA384,
		"ML-DSA-44": x509.MLDSA44, "ML-DSA-65": x509.MLDSA65, "ML-DSA-87": x509.MLDSA87,
	}
	return byName[keyName(c.PublicKey)]
}
