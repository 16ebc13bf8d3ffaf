package tbs

import (
	"errors"
	"io"
	"slices"

	"golang.org/x/crypto/cryptobyte"
)

// Tags of DER as they stand in the identifier octet.
const (
	tagBoolean     = 0x01
	tagInteger     = 0x02
	tagBitString   = 0x03
	tagOctetString = 0x04
	tagNull        = 0x05
	tagOID         = 0x06
	tagEnumerated  = 0x0a
	tagUTF8        = 0x0c
	tagNumeric     = 0x12
	tagPrintable   = 0x13
	tagTeletex     = 0x14
	tagIA5         = 0x16
	tagUTCTime     = 0x17
	tagGeneralized = 0x18
	tagBMP         = 0x1e
	tagSequence    = 0x30
	tagSet         = 0x31
	tagContext0    = 0xa0
	tagContext1    = 0xa1
	tagContext2    = 0xa2
	tagContext3    = 0xa3
)

// scanner walks the outermost elements of a message. It holds a window of it,
// which is the message itself where that was given whole. The window only
// grows, so that what was cut out of it stays valid, until forget lets it slide.
type scanner struct {
	src   io.Reader // nil: win is the whole message
	win   []byte
	pos   int   // of the next octet, in win
	base  int64 // offset of win[0] in the message
	end   int64 // offset at which the innermost open SEQUENCE ends
	depth int   // open SEQUENCEs
	slide bool  // octets before pos may be dropped
}

// element is one complete TLV. der is all of it, body its contents.
type element struct {
	tag  byte
	der  []byte
	body cryptobyte.String
}

func (s *scanner) offset() int64 { return s.base + int64(s.pos) }

// more reports whether the innermost open SEQUENCE has another element.
func (s *scanner) more() bool { return s.offset() < s.end }

// open enters a SEQUENCE and gives the end of the one around it, for close.
func (s *scanner) open(tag byte) (outer int64, err error) {
	got, head, length, err := s.header()
	if err != nil {
		return 0, err
	}
	if got != tag {
		return 0, malformed("has tag 0x%02x where 0x%02x belongs (octet %d)", got, tag, s.offset())
	}
	outer = s.end
	s.pos += head
	s.end = s.offset() + length
	s.depth++
	return outer, nil
}

// close leaves the SEQUENCE that open entered, which must be read to its end.
func (s *scanner) close(outer int64) {
	s.end = outer
	s.depth--
}

// next takes one complete element of at most limit octets.
func (s *scanner) next(limit int) (element, error) {
	tag, head, length, err := s.header()
	if err != nil {
		return element{}, err
	}
	if length > int64(limit) {
		return element{}, malformed("has an element of %d octets at octet %d, %d are allowed there", length, s.offset(), limit)
	}
	size := head + int(length)
	if err := s.fill(size); err != nil {
		return element{}, err
	}
	der := s.win[s.pos : s.pos+size : s.pos+size]
	s.pos += size
	return element{tag: tag, der: der, body: der[head:]}, nil
}

// want takes one complete element that must have the given tag; what names it
// in the refusal.
func (s *scanner) want(tag byte, limit int, what string) (element, error) {
	got, err := s.peekTag()
	if err != nil {
		return element{}, err
	}
	if got != tag {
		return element{}, malformed("has tag 0x%02x where %s belongs (octet %d)", got, what, s.offset())
	}
	return s.next(limit)
}

// peekTag looks at the identifier of the next element of the open SEQUENCE.
func (s *scanner) peekTag() (byte, error) {
	if !s.more() {
		return 0, malformed("ends at octet %d with elements missing", s.offset())
	}
	if err := s.fill(1); err != nil {
		return 0, err
	}
	return s.win[s.pos], nil
}

// header reads identifier and length of the next element without taking them.
// Lengths are definite and minimal (X.690, section 10.1).
func (s *scanner) header() (tag byte, head int, length int64, err error) {
	if s.depth > 0 && !s.more() {
		return 0, 0, 0, malformed("ends at octet %d with elements missing", s.offset())
	}
	if err := s.fill(2); err != nil {
		return 0, 0, 0, err
	}
	tag, first := s.win[s.pos], s.win[s.pos+1]
	if tag&0x1f == 0x1f {
		return 0, 0, 0, malformed("has a tag number above 30 at octet %d", s.offset())
	}
	head, length = 2, int64(first)
	if first >= 0x80 {
		octets := int(first & 0x7f)
		if octets == 0 || octets > 4 {
			return 0, 0, 0, malformed("has a length that is indefinite or above 2^32 at octet %d", s.offset())
		}
		if err := s.fill(2 + octets); err != nil {
			return 0, 0, 0, err
		}
		length = 0
		for _, b := range s.win[s.pos+2 : s.pos+2+octets] {
			length = length<<8 | int64(b)
		}
		if length < 0x80 || length>>(8*(octets-1)) == 0 {
			return 0, 0, 0, malformed("has a length that is not minimal at octet %d", s.offset())
		}
		head += octets
	}
	if s.depth > 0 && s.offset()+int64(head)+length > s.end {
		return 0, 0, 0, malformed("has an element that reaches past its SEQUENCE at octet %d", s.offset())
	}
	return tag, head, length, nil
}

// readSize is how much is asked of the source at once.
const readSize = 32 << 10

// fill makes n octets from pos on available.
func (s *scanner) fill(n int) error {
	for len(s.win)-s.pos < n {
		if s.src == nil {
			return malformed("ends early, at octet %d", s.base+int64(len(s.win)))
		}
		if err := s.read(); errors.Is(err, io.EOF) {
			return malformed("ends early, at octet %d", s.base+int64(len(s.win)))
		} else if err != nil {
			return err
		}
	}
	return nil
}

// read appends what the source gives next to the window.
func (s *scanner) read() error {
	if s.slide && s.pos > 0 {
		rest := copy(s.win, s.win[s.pos:])
		s.base += int64(s.pos)
		s.win, s.pos = s.win[:rest], 0
	}
	if cap(s.win)-len(s.win) < readSize/8 {
		s.win = slices.Grow(s.win, readSize)
	}
	for range 100 {
		n, err := s.src.Read(s.win[len(s.win):cap(s.win)])
		s.win = s.win[:len(s.win)+n]
		if n > 0 {
			return nil // an error comes again with the next read
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// forget lets the window slide from here on; what was cut out of it before
// stays valid, what is cut out later does until the next call.
func (s *scanner) forget() {
	if s.src == nil || s.slide {
		return
	}
	s.win = append(make([]byte, 0, 2*readSize), s.win[s.pos:]...)
	s.base += int64(s.pos)
	s.pos = 0
	s.slide = true
}

// keep ends what forget began.
func (s *scanner) keep() { s.slide = false }

// finish checks that the message ends where its SEQUENCE does.
func (s *scanner) finish() error {
	if s.more() {
		return malformed("has elements that do not belong there, from octet %d", s.offset())
	}
	if s.pos == len(s.win) && s.src != nil {
		if err := s.read(); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
	if s.pos < len(s.win) {
		return malformed("is followed by other octets, from octet %d", s.offset())
	}
	return nil
}
