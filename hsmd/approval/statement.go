package approval

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// Statement is what an approver signs: one text, the same to the octet for
// everybody, that is true of nothing else than this.
type Statement struct {
	SPKI    [32]byte // SHA-256 of the SubjectPublicKeyInfo of the key that is to sign
	Scheme  string   // of the signature that is asked for
	Kind    string   // certificate, crl, ocsp or csr
	Message [32]byte // SHA-256 of the bytes to be signed
	Until   time.Time
}

// Text gives the statement as it is signed, lines that end in LF.
func (s *Statement) Text() string {
	var b strings.Builder
	b.WriteString("hsmd approval 1\n")
	fmt.Fprintf(&b, "key sha256 %s\n", hex.EncodeToString(s.SPKI[:]))
	fmt.Fprintf(&b, "scheme %s\n", s.Scheme)
	fmt.Fprintf(&b, "kind %s\n", s.Kind)
	fmt.Fprintf(&b, "bytes sha256 %s\n", hex.EncodeToString(s.Message[:]))
	fmt.Fprintf(&b, "until %s\n", s.Until.UTC().Format(time.RFC3339))
	return b.String()
}
