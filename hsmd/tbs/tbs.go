// Package tbs recognises what hsmd signs: bytes that are, whole and as strict
// DER, exactly one of TBSCertificate (v3) and TBSCertList (v2) of RFC 5280,
// ResponseData of RFC 6960 and CertificationRequestInfo of RFC 2986. It is the
// wall between a front end that may be owned and a CA key, and therefore shares
// no code with the front end.
//
// It reads a stream once, to the last byte, in constant memory: a CRL may have
// millions of entries, and its extensions stand at the end. It knows nothing of
// keys, peers or tokens, and has no clock of its own.
//
// # How the kinds are told apart
//
// Each is a SEQUENCE, and the first element inside decides, alone and before
// anything else is looked at; no value of one is a value of another:
//
//	A0 03 02 01 02   [0] EXPLICIT INTEGER 2, version v3:  TBSCertificate
//	02 01 01         INTEGER 1, version v2:               TBSCertList
//	A1 … or A2 …     [1] or [2], the responderID:         ResponseData
//	02 01 00         INTEGER 0, version v1:               CertificationRequestInfo
//
// What a v1 certificate (INTEGER serial, of any value) or a v1 CRL (SEQUENCE)
// would begin with is either none of these or fails on the element that
// follows: after 02 01 01 a SEQUENCE that equals the scheme's
// AlgorithmIdentifier is asked for, after 02 01 00 a Name. ResponseData's own
// version, [0] too, has one value, its default, which DER leaves out. A test
// message of hsmd's own begins with a space, which is no SEQUENCE.
//
// Start with [Read].
package tbs

import (
	"encoding/hex"
	"io"
	"time"

	"github.com/hsmpki/hsmpki/wire"
)

// Kind says which of the four structures a message is.
type Kind uint8

// The kinds of message that may be signed.
const (
	Certificate    Kind = 1 // TBSCertificate, RFC 5280, section 4.1
	RevocationList Kind = 2 // TBSCertList, RFC 5280, section 5.1
	OCSPResponse   Kind = 3 // ResponseData, RFC 6960, section 4.2.1
	Request        Kind = 4 // CertificationRequestInfo, RFC 2986, section 4.1
)

// String is the kind's name in hsmd's configuration and logs.
func (k Kind) String() string {
	switch k {
	case Certificate:
		return "certificate"
	case RevocationList:
		return "crl"
	case OCSPResponse:
		return "ocsp"
	case Request:
		return "csr"
	}
	return "message"
}

// MaxAhead is how far notBefore, thisUpdate and producedAt may lie in the
// future, for clocks that disagree.
const MaxAhead = 5 * time.Minute

// Sizes beyond which a message is refused. Only the list of revoked
// certificates of a CRL has no bound but DER's own length field.
const (
	maxMessage = 1 << 20   // a certificate, request or OCSP response, and a CRL without its entries
	maxField   = 512 << 10 // one field of it
	maxEntry   = 16 << 10  // one entry of a CRL
	maxDepth   = 16        // nesting inside a value of unknown type
	maxExts    = 128       // extensions in one list
)

// Rules are what a message must agree with.
type Rules struct {
	// Now is the time against which "not in the future" is judged.
	Now time.Time
	// Scheme is the one that the message will be signed with. The algorithm
	// named inside a certificate or CRL must be the same.
	Scheme wire.SignatureScheme
	// Revoked, if there is one, is shown each entry of a CRL as it is read: the
	// contents octets of its serial number, and its reason, 0 if it has none.
	// What it is given is its own during the call only. Its error ends the reading
	// and is returned as it is.
	Revoked func(issuer, serial []byte, reason uint8) error
}

// Extension is one X.509 extension. ID holds the contents octets of the object
// identifier, Value those of extnValue.
type Extension struct {
	ID       []byte
	Critical bool
	Value    []byte
}

// Summary is what hsmd knows of a message that it recognised. Slices of it
// point into the message where that was given whole.
type Summary struct {
	Kind Kind
	Size int64 // octets of the message

	// Serial holds the contents octets of the serial number: a certificate's,
	// or the first that an OCSP response speaks of.
	Serial []byte
	// Issuer and Subject are the DER of Names. A CRL has no subject, a request
	// no issuer, and an OCSP response an issuer where its responder is named
	// rather than hashed.
	Issuer, Subject []byte
	// NotBefore and NotAfter bound the validity. For CRLs and OCSP responses
	// they are thisUpdate and nextUpdate, of several answers the earliest and
	// the latest.
	NotBefore, NotAfter time.Time
	// ProducedAt is an OCSP response's.
	ProducedAt time.Time
	// SPKI is the DER of the SubjectPublicKeyInfo of a certificate or request.
	SPKI []byte
	// IsCA and MaxPathLen come from a certificate's basicConstraints;
	// MaxPathLen is -1 where there is none.
	IsCA       bool
	MaxPathLen int
	// Entries counts revoked certificates or OCSP answers.
	Entries int
	// Answers are an OCSP response's.
	Answers []Answer
	// Extensions are the certificate's, the CRL's, the OCSP response's, or
	// those that a request asks for.
	Extensions []Extension
}

// Answer is what an OCSP response says of one certificate. Hash holds the
// contents octets of the object identifier with which NameHash and KeyHash name
// its issuer, Serial those of the serial number.
type Answer struct {
	Hash, NameHash, KeyHash, Serial []byte
	Status                          Status
}

// Status is what an Answer says.
type Status uint8

// The statuses, by their tags in RFC 6960, section 4.2.1.
const (
	Good    Status = 0
	Revoked Status = 1
	Unknown Status = 2
)

// SerialString is the serial number in the notation of logs and of the API:
// lower-case hexadecimal octets with colons.
func (s *Summary) SerialString() string {
	serial := s.Serial
	if len(serial) > 1 && serial[0] == 0 {
		serial = serial[1:]
	}
	out := make([]byte, 0, 3*len(serial))
	for i, b := range serial {
		if i > 0 {
			out = append(out, ':')
		}
		out = hex.AppendEncode(out, []byte{b})
	}
	return string(out)
}

// Parse recognises a message that is held whole.
func Parse(message []byte, rules Rules) (*Summary, error) {
	return recognise(scanner{win: message}, rules)
}

// Read recognises a message that comes as a stream, and returns when it has
// read to its end. Where r fails, its error is returned as it is; what is wrong
// with the message itself is an [*Error].
func Read(r io.Reader, rules Rules) (*Summary, error) {
	return recognise(scanner{src: r}, rules)
}

// parser is one recognition under way.
type parser struct {
	in    scanner
	rules Rules
	sum   *Summary
}

func recognise(in scanner, rules Rules) (*Summary, error) {
	p := parser{in: in, rules: rules, sum: &Summary{MaxPathLen: -1}}
	if err := p.message(); err != nil {
		if e, ok := err.(*Error); ok {
			e.Kind = p.sum.Kind
		}
		return nil, err
	}
	p.sum.Size = p.in.offset()
	return p.sum, nil
}

func (p *parser) message() error {
	if _, err := p.in.open(tagSequence); err != nil {
		return err
	}
	read, err := p.kind()
	if err != nil {
		return err
	}
	if p.sum.Kind != RevocationList && p.in.end > maxMessage {
		return malformed("is longer than %d octets", maxMessage)
	}
	if err := read(); err != nil {
		return err
	}
	return p.in.finish()
}

// kind decides by the first element, see the package comment.
func (p *parser) kind() (read func() error, err error) {
	tag, err := p.in.peekTag()
	if err != nil {
		return nil, err
	}
	switch tag {
	case tagContext0:
		first, err := p.in.next(maxField)
		if err != nil {
			return nil, err
		}
		if string(first.der) == "\xa0\x03\x02\x01\x02" {
			p.sum.Kind = Certificate
			return p.certificate, nil
		}
	case tagContext1, tagContext2:
		p.sum.Kind = OCSPResponse
		return p.ocspResponse, nil
	case tagInteger:
		first, err := p.in.next(maxField)
		if err != nil {
			return nil, err
		}
		switch string(first.der) {
		case "\x02\x01\x01":
			p.sum.Kind = RevocationList
			return p.revocationList, nil
		case "\x02\x01\x00":
			p.sum.Kind = Request
			return p.request, nil
		}
	}
	return nil, malformed("is none of certificate (v3), CRL (v2), OCSP response and certificate request")
}
