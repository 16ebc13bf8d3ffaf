package approval_test

import (
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/hsmd/approval"
)

func statementOf(message string) *approval.Statement {
	return &approval.Statement{
		SPKI: sha256.Sum256([]byte("key")), Scheme: "ecdsa_secp256r1_sha256", Kind: "crl",
		Message: sha256.Sum256([]byte(message)), Until: day.Add(72 * time.Hour),
	}
}

// TestReadStatement: what is read is what was written, and what differs from it
// in an octet is none.
func TestReadStatement(t *testing.T) {
	want := statementOf("message")
	got, err := approval.ReadStatement(want.Text())
	if err != nil || *got != *want {
		t.Fatalf("read %+v, %v", got, err)
	}
	for name, text := range map[string]string{
		"nothing":        "",
		"another form":   strings.Replace(want.Text(), "approval 1", "approval 2", 1),
		"a line twice":   want.Text() + "kind crl\n",
		"a line less":    strings.Replace(want.Text(), "kind crl\n", "", 1),
		"another order":  strings.Replace(want.Text(), "hsmd approval 1\n", "", 1) + "hsmd approval 1\n",
		"a short digest": strings.Replace(want.Text(), "bytes sha256 ab", "bytes sha256 ", 1),
		"CRLF":           strings.ReplaceAll(want.Text(), "\n", "\r\n"),
		"capitals":       strings.ToUpper(want.Text()),
		"another zone":   strings.Replace(want.Text(), "Z\n", "+00:00\n", 1),
	} {
		if _, err := approval.ReadStatement(text); err == nil {
			t.Errorf("%s was read as a statement: %q", name, text)
		}
	}
}

// TestWordsOf: nobody is told what a statement is of by bytes that it is not of.
func TestWordsOf(t *testing.T) {
	s := statementOf("message")
	if words, err := s.WordsOf([]byte("message")); err != nil || len(words) == 0 {
		t.Errorf("%q, %v", words, err)
	}
	if words, err := s.WordsOf([]byte("another")); err == nil || !strings.Contains(err.Error(), "other bytes") {
		t.Errorf("bytes that it is not of: %q, %v", words, err)
	}
}
