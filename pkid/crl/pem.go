package crl

import (
	"encoding/base64"
	"io"
)

const (
	pemBegin = "-----BEGIN X509 CRL-----\n"
	pemEnd   = "-----END X509 CRL-----" // Vault has no newline there
	pemLine  = 48                       // octets in a line, which has a third more characters
	pemChars = pemLine/3*4 + 1
)

// pemReader reads DER as PEM. It can be sought, as each line stands for as many
// octets, and needs no more of the DER than it reads.
type pemReader struct {
	der  io.ReadSeeker
	size int64 // of the DER
	body int64 // characters between the two boundaries
	at   int64
	rest []byte // characters from at on
}

func newPEMReader(der io.ReadSeeker, size int64) *pemReader {
	lines := (size + pemLine - 1) / pemLine
	return &pemReader{der: der, size: size, body: int64(base64.StdEncoding.EncodedLen(int(size))) + lines}
}

func (p *pemReader) length() int64 { return int64(len(pemBegin)+len(pemEnd)) + p.body }

// Read implements [io.Reader].
func (p *pemReader) Read(out []byte) (int, error) {
	if p.at >= p.length() {
		return 0, io.EOF
	}
	if len(p.rest) == 0 {
		if err := p.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(out, p.rest)
	p.rest, p.at = p.rest[n:], p.at+int64(n)
	return n, nil
}

// pemLines is how many lines are encoded at once.
const pemLines = 256

// fill makes the characters from at on: of a boundary, or of some lines.
func (p *pemReader) fill() error {
	inBody := p.at - int64(len(pemBegin))
	switch {
	case inBody < 0:
		p.rest = []byte(pemBegin)[p.at:]
		return nil
	case inBody >= p.body:
		p.rest = []byte(pemEnd)[inBody-p.body:]
		return nil
	}
	line := inBody / pemChars
	if _, err := p.der.Seek(line*pemLine, io.SeekStart); err != nil {
		return err
	}
	octets := make([]byte, min(pemLines*pemLine, p.size-line*pemLine))
	if _, err := io.ReadFull(p.der, octets); err != nil {
		return err
	}
	text := make([]byte, 0, pemLines*pemChars)
	for len(octets) > 0 {
		n := min(pemLine, len(octets))
		text = append(base64.StdEncoding.AppendEncode(text, octets[:n]), '\n')
		octets = octets[n:]
	}
	p.rest = text[inBody-line*pemChars:]
	return nil
}

// Seek implements [io.Seeker].
func (p *pemReader) Seek(offset int64, whence int) (int64, error) {
	at, err := seek(offset, whence, p.at, p.length())
	if err == nil && at != p.at {
		p.at, p.rest = at, nil
	}
	return at, err
}
