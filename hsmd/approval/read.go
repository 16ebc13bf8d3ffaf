package approval

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// ReadStatement reads what [Statement.Text] wrote, and nothing that differs from
// it by an octet: what is signed is the text.
func ReadStatement(text string) (*Statement, error) {
	var s Statement
	for _, line := range strings.Split(text, "\n") {
		var err error
		switch {
		case strings.HasPrefix(line, "key sha256 "):
			err = digest(&s.SPKI, line)
		case strings.HasPrefix(line, "scheme "):
			s.Scheme = line[len("scheme "):]
		case strings.HasPrefix(line, "kind "):
			s.Kind = line[len("kind "):]
		case strings.HasPrefix(line, "bytes sha256 "):
			err = digest(&s.Message, line)
		case strings.HasPrefix(line, "until "):
			s.Until, err = time.Parse(time.RFC3339, line[len("until "):])
		}
		if err != nil {
			return nil, fmt.Errorf("a statement with the line %q: %w", line, err)
		}
	}
	if s.Text() != text {
		return nil, fmt.Errorf("no statement as hsmd writes them: it would be %q", s.Text())
	}
	return &s, nil
}

// digest reads the SHA-256 at the end of a line.
func digest(to *[sha256.Size]byte, line string) error {
	octets, err := hex.DecodeString(line[strings.LastIndexByte(line, ' ')+1:])
	if err == nil && len(octets) != len(to) {
		err = fmt.Errorf("%d octets where SHA-256 has %d", len(octets), len(to))
	}
	copy(to[:], octets)
	return err
}

// WordsOf says for people what the statement approves, where message is what it
// is of; it is an error if it is not.
func (s *Statement) WordsOf(message []byte) ([]string, error) {
	if sum := sha256.Sum256(message); sum != s.Message {
		return nil, fmt.Errorf("the statement is of other bytes: it says sha256 %x, and these have %x", s.Message, sum)
	}
	return Words(s.Kind, message), nil
}
