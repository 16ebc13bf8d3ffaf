package ocsp

import (
	"crypto/x509"
	"encoding/asn1"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// ResponseStatus is OCSPResponseStatus (RFC 6960, section 4.2.1).
type ResponseStatus uint8

// The statuses that are used here.
const (
	Successful       ResponseStatus = 0
	MalformedRequest ResponseStatus = 1
	InternalError    ResponseStatus = 2
	TryLater         ResponseStatus = 3
	Unauthorized     ResponseStatus = 6
)

// Response is an answer, to be sent as it is. It is immutable.
type Response struct {
	// DER is the OCSPResponse.
	DER    []byte
	Status ResponseStatus
	// RetryAfter and Limited belong to TryLater: when to come again, and
	// whether it is because the sender asked too much.
	RetryAfter time.Duration
	Limited    bool
	// ThisUpdate and NextUpdate are those of all certificates in the answer.
	ThisUpdate, NextUpdate time.Time
	// Cacheable says that everybody who asks the same may get this answer: it
	// echoes no nonce, and tells of certificates that there are.
	Cacheable bool

	etag string
}

// failure is an answer without a body; nothing in it is signed.
func failure(status ResponseStatus) *Response {
	return &Response{DER: []byte{0x30, 3, 0x0a, 1, byte(status)}, Status: status}
}

// tryLater says when to come again.
func tryLater(after time.Duration) *Response {
	r := failure(TryLater)
	r.RetryAfter = max(after, time.Second)
	return r
}

// single is one SingleResponse.
type single struct {
	cert   []byte // DER of the CertID
	status Status
}

// responseData is a ResponseData in the making.
type responseData struct {
	keyHash                [20]byte // SHA-1 of the responder's key
	producedAt             time.Time
	thisUpdate, nextUpdate time.Time
	singles                []single
	nonce                  []byte
}

var (
	oidBasic          = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 1}
	oidInvalidityDate = asn1.ObjectIdentifier{2, 5, 29, 24}
)

func explicit(n uint8) cbasn1.Tag { return cbasn1.Tag(n).ContextSpecific().Constructed() }
func implicit(n uint8) cbasn1.Tag { return cbasn1.Tag(n).ContextSpecific() }

// encode gives the DER of the ResponseData (RFC 6960, section 4.2.1), with the
// responder named by its key and without the default version.
func (d *responseData) encode() ([]byte, error) {
	b := cryptobyte.NewBuilder(make([]byte, 0, 256*len(d.singles)+256))
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(explicit(2), func(b *cryptobyte.Builder) { b.AddASN1OctetString(d.keyHash[:]) })
		addTime(b, d.producedAt)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for i := range d.singles {
				d.addSingle(b, &d.singles[i])
			}
		})
		if d.nonce != nil {
			addExtension(b, explicit(1), oidNonce, func(b *cryptobyte.Builder) { b.AddBytes(d.nonce) })
		}
	})
	return b.Bytes()
}

func (d *responseData) addSingle(b *cryptobyte.Builder, s *single) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(s.cert)
		s.status.add(b)
		addTime(b, d.thisUpdate)
		b.AddASN1(explicit(0), func(b *cryptobyte.Builder) { addTime(b, d.nextUpdate) })
		if at := s.status.InvalidityDate; s.status.State == Revoked && !at.IsZero() {
			addExtension(b, explicit(1), oidInvalidityDate, func(b *cryptobyte.Builder) { addTime(b, at) })
		}
	})
}

// add writes a CertStatus. The reason "unspecified" is left out, as RFC 5280,
// section 5.3.1 wants it of CRLs.
func (s *Status) add(b *cryptobyte.Builder) {
	switch s.State {
	case Good:
		b.AddASN1(implicit(0), func(*cryptobyte.Builder) {})
	case Revoked:
		b.AddASN1(explicit(1), func(b *cryptobyte.Builder) {
			addTime(b, s.RevokedAt)
			if s.Reason != 0 {
				b.AddASN1(explicit(0), func(b *cryptobyte.Builder) { b.AddASN1Enum(int64(s.Reason)) })
			}
		})
	default:
		b.AddASN1(implicit(2), func(*cryptobyte.Builder) {})
	}
}

// addTime writes a GeneralizedTime in Zulu, of whole seconds.
func addTime(b *cryptobyte.Builder, t time.Time) {
	b.AddASN1GeneralizedTime(t.UTC().Truncate(time.Second))
}

// addExtension writes a list of one extension that is not critical.
func addExtension(b *cryptobyte.Builder, tag cbasn1.Tag, id asn1.ObjectIdentifier, value cryptobyte.BuilderContinuation) {
	b.AddASN1(tag, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(id)
				b.AddASN1(cbasn1.OCTET_STRING, value)
			})
		})
	})
}

// assemble wraps a signed ResponseData into the OCSPResponse, with the
// certificate of the key that signed it.
func assemble(data, algorithm, signature []byte, responder *x509.Certificate) ([]byte, error) {
	b := cryptobyte.NewBuilder(make([]byte, 0, len(data)+len(signature)+len(responder.Raw)+128))
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { // OCSPResponse
		b.AddASN1Enum(int64(Successful))
		b.AddASN1(explicit(0), func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { // ResponseBytes
				b.AddASN1ObjectIdentifier(oidBasic)
				b.AddASN1(cbasn1.OCTET_STRING, func(b *cryptobyte.Builder) {
					b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { // BasicOCSPResponse
						b.AddBytes(data)
						b.AddBytes(algorithm)
						b.AddASN1BitString(signature)
						b.AddASN1(explicit(0), func(b *cryptobyte.Builder) {
							b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(responder.Raw) })
						})
					})
				})
			})
		})
	})
	return b.Bytes()
}
