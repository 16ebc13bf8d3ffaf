package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// signatureLine is what is wanted of a line of hsmd's log of signatures.
type signatureLine struct {
	Seq       uint64    `json:"seq"`
	End       *uint64   `json:"end"` // of no line of the log, but of what follows the last: how many it has
	Of        uint64    `json:"of"`
	Time      string    `json:"time"`
	Kind      string    `json:"kind"`
	Key       string    `json:"key"`
	Serial    string    `json:"serial"`
	Subject   string    `json:"subject"`
	Issuer    string    `json:"issuer"`
	Names     []string  `json:"names"`
	NotAfter  time.Time `json:"not_after"`
	TBS       []byte    `json:"tbs"`
	Signature []byte    `json:"signature"`
	Number    string    `json:"number"`  // of the CRL that revokes
	Serials   []string  `json:"serials"` // which it is the first to revoke, contents octets in hexadecimal
}

// signatures reads the log and gives each certificate that was signed, or may have
// been, once its outcome is known, and each line of serial numbers that a CRL was
// the first to revoke.
type signatures struct {
	each    func(*signatureLine) error
	revoked func(*signatureLine) error

	begun bool
	first uint64
	next  uint64
	ended bool // the end was there, as hsmd audit read writes it
	waits map[uint64]*signatureLine
}

func (s *signatures) read(r io.Reader) error {
	for in := bufio.NewReader(r); ; {
		text, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil // a last line without an end is being written
		}
		if err != nil {
			return err
		}
		l := &signatureLine{}
		if err := json.Unmarshal(text, l); err != nil {
			return fmt.Errorf("after line %d: %w", s.next, err)
		}
		if s.ended {
			return errors.New("there is more after the end")
		}
		if l.End != nil {
			if s.begun && *l.End != s.next {
				return fmt.Errorf("the end comes after line %d, and the log has %d lines: some are left out", s.next-1, *l.End)
			}
			s.ended = true
			continue
		}
		if s.begun && l.Seq != s.next {
			return fmt.Errorf("line %d was expected, and line %d is there: the files go in order, and none may be left out", s.next, l.Seq)
		}
		if !s.begun {
			s.first = l.Seq
		}
		s.begun, s.next = true, l.Seq+1
		if err := s.take(l); err != nil {
			return err
		}
	}
}

func (s *signatures) take(l *signatureLine) error {
	if s.waits == nil {
		s.waits = map[uint64]*signatureLine{}
	}
	of := s.waits[l.Of]
	switch {
	case l.Kind == "certificate":
		s.waits[l.Seq] = l
	case l.Kind == "revoked":
		return s.revoked(l)
	case l.Kind == "failed":
		delete(s.waits, l.Of)
	case l.Kind == "signed" && of != nil:
		delete(s.waits, l.Of)
		of.Signature = l.Signature
		return s.each(of)
	}
	return nil
}

// end gives those without an outcome.
func (s *signatures) end() error {
	for _, seq := range slices.Sorted(maps.Keys(s.waits)) {
		if err := s.each(s.waits[seq]); err != nil {
			return err
		}
	}
	return nil
}

// assemble puts the certificate together (RFC 5280, section 4.1): the algorithm
// stands inside too, and is the same.
func (l *signatureLine) assemble() ([]byte, error) {
	in := cryptobyte.String(l.TBS)
	var body, algorithm cryptobyte.String
	if !in.ReadASN1(&body, asn1.SEQUENCE) || !body.SkipOptionalASN1(asn1.Tag(0).ContextSpecific().Constructed()) ||
		!body.SkipASN1(asn1.INTEGER) || !body.ReadASN1Element(&algorithm, asn1.SEQUENCE) {
		return nil, errors.New("the octets in the log are no certificate's")
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(l.TBS)
		b.AddBytes(algorithm)
		b.AddASN1BitString(l.Signature)
	})
	return b.Bytes()
}

// isOf reports whether a certificate is the one that was to be signed.
func (l *signatureLine) isOf(der []byte) bool {
	in := cryptobyte.String(der)
	var body, tbs cryptobyte.String
	return in.ReadASN1(&body, asn1.SEQUENCE) && body.ReadASN1Element(&tbs, asn1.SEQUENCE) && bytes.Equal(tbs, l.TBS)
}
