package issuance

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net"
	"net/url"
	"time"
)

// Request is everything that a certificate for an end entity is to contain but
// what the issuer adds: serial number, issuer name, key identifiers and URLs.
// A Request never makes a CA certificate.
type Request struct {
	Names

	PublicKey crypto.PublicKey
	// Serial is the serial number, from NewSerial; nil: it is drawn.
	Serial *big.Int

	// SubjectKeyID overrides the SHA-1 of the public key's bit string
	// (RFC 5280, section 4.2.1.2, method 1).
	SubjectKeyID []byte

	// KeyUsage 0 leaves the extension out; CertSign and CRLSign are refused.
	KeyUsage         x509.KeyUsage
	ExtendedKeyUsage []x509.ExtKeyUsage
	// ExtendedKeyUsageOIDs follow those of ExtendedKeyUsage.
	ExtendedKeyUsageOIDs []asn1.ObjectIdentifier
	Policies             []Policy
	// BasicConstraints adds the extension with cA false.
	BasicConstraints bool
	// ExtraExtensions are copied as they are and replace the extension of the
	// same OID that the fields above would give. Those that speak for the
	// issuer (authority key identifier, AIA, CRL distribution points, freshest
	// CRL, name constraints, basic constraints of a CA) are refused.
	ExtraExtensions []pkix.Extension

	// NotBefore and NotAfter are cut to whole seconds (RFC 5280, section
	// 4.1.2.5). NotAfter beyond the issuer's is the caller's to decide.
	NotBefore, NotAfter time.Time

	// SignatureBits chooses the hash of an RSA issuer: 256, 384 or 512, and 0
	// for 256. PSS chooses RSASSA-PSS. Other issuers have one algorithm and
	// leave both unread.
	SignatureBits int
	PSS           bool
}

// Names say whose certificate it is to be.
type Names struct {
	// Subject is used unless RawSubject (the DER of a Name) is set.
	Subject    pkix.Name
	RawSubject []byte

	DNSNames       []string
	EmailAddresses []string
	IPAddresses    []net.IP
	URIs           []*url.URL
	OtherNames     []OtherName
}

// OtherName is a subject alternative name of a type that X.509 does not name
// itself, with a UTF-8 string as its value (RFC 5280, section 4.2.1.6).
type OtherName struct {
	Type  asn1.ObjectIdentifier
	Value string
}

// Policy is one entry of the certificate policies extension (RFC 5280, section
// 4.2.1.4), with up to one CPS pointer and one explicit text.
type Policy struct {
	ID     asn1.ObjectIdentifier
	CPS    string
	Notice string
}
