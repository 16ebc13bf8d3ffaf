// Package auditlog keeps the log of signatures: one JSON object a line, each with
// the SHA-256 of the line before, so that nothing in it can be changed, removed or
// put in between without the lines after it saying so. It is written before a
// signature leaves, and synced: what is not in the log was not given out.
//
// A signature has two lines. The first says what is to be signed, and is durable
// before the answer leaves; the second, its outcome, follows when it may. A crash
// can leave the first without the second: then the signature may have been made,
// and counts as made.
//
// The file grows to a size, is sealed by a last line of its own, and the next
// begins with the seal's hash (segment.go). Over all lines stands a Merkle tree
// (tree.go). README.md has the format for other programs.
//
// The package knows neither keys nor peers, and decides nothing. Start with
// [Open] and [Log.Append].
package auditlog

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Kind says what a line is about.
type Kind string

// The kinds. The first five are what is to be signed.
const (
	Certificate Kind = "certificate"
	CRL         Kind = "crl"
	OCSP        Kind = "ocsp"
	CSR         Kind = "csr"
	Test        Kind = "test"

	Signed   Kind = "signed"   // the outcome of the line Of: there is a signature
	Failed   Kind = "failed"   // the outcome of the line Of: there is none, or it did not leave
	Approved Kind = "approved" // a person approved what is to be signed later
	Revoked  Kind = "revoked"  // serials that the CRL on a line after this is the first of its issuer to list
	Refused  Kind = "refused"  // requests that were not signed, many in one line
	Start    Kind = "start"    // hsmd begins to write
	Seal     Kind = "seal"     // the last line of a segment
)

// Hash is a SHA-256, in hexadecimal.
type Hash [sha256.Size]byte

// MarshalText writes lower-case hexadecimal.
func (h Hash) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }

// UnmarshalText reads what MarshalText writes.
func (h *Hash) UnmarshalText(text []byte) error {
	if len(text) != hex.EncodedLen(len(h)) {
		return fmt.Errorf("a SHA-256 has %d hexadecimal digits", hex.EncodedLen(len(h)))
	}
	_, err := hex.Decode(h[:], text)
	return err
}

// Entry is what a line says, without its place in the log.
type Entry struct {
	Time time.Time `json:"time,omitzero"`
	Kind Kind      `json:"kind"`

	// What is to be signed, and with what. SPKI is the SHA-256 of the key's
	// SubjectPublicKeyInfo, SHA256 that of the to-be-signed octets, Size their
	// number; TBS has a certificate's own. Serial is hexadecimal with colons: the
	// certificate's, or the first that an OCSP response speaks of. Number is a
	// CRL's, Base that of the CRL that a delta goes on from, both decimal; Count is
	// how many certificates a CRL lists, or an OCSP response answers. NotBefore and
	// NotAfter are thisUpdate and nextUpdate of CRLs and OCSP responses.
	Key       string    `json:"key,omitempty"`
	SPKI      Hash      `json:"spki,omitzero"`
	Scheme    string    `json:"scheme,omitempty"`
	Serial    string    `json:"serial,omitempty"`
	Issuer    string    `json:"issuer,omitempty"`
	Subject   string    `json:"subject,omitempty"`
	Names     []string  `json:"names,omitempty"`
	CA        bool      `json:"ca,omitempty"`
	NotBefore time.Time `json:"not_before,omitzero"`
	NotAfter  time.Time `json:"not_after,omitzero"`
	Number    string    `json:"number,omitempty"`
	Base      string    `json:"base,omitempty"`
	Count     int       `json:"count,omitempty"`
	// IssuerName is the DER of the issuer's Name, and IssuerKey that of its
	// SubjectPublicKeyInfo: of a CRL, and the name also of Serials, which are contents
	// octets in hexadecimal.
	IssuerName []byte   `json:"issuer_name,omitempty"`
	IssuerKey  []byte   `json:"issuer_key,omitempty"`
	Serials    []string `json:"serials,omitempty"`

	Size   int64  `json:"size,omitempty"`
	SHA256 Hash   `json:"sha256,omitzero"`
	TBS    []byte `json:"tbs,omitempty"`

	// Who asked, and in what context: pkid's mount and request.
	Peer    *Peer  `json:"peer,omitempty"`
	Context string `json:"context,omitempty"`

	// The outcome: the signature itself of a certificate, of the others its
	// SHA-256; or why there is none. Reason is why requests were refused, the last
	// of Count.
	Signature       []byte `json:"signature,omitempty"`
	SignatureSHA256 Hash   `json:"signature_sha256,omitzero"`
	Error           string `json:"error,omitempty"`
	Reason          string `json:"reason,omitempty"`

	// Of an approval: who gave it, his SSH signature (armoured), and the statement
	// that it is of, which names key, scheme, kind, the bytes' SHA-256 and the end.
	Approver  string `json:"approver,omitempty"`
	Approval  string `json:"approval,omitempty"`
	Statement string `json:"statement,omitempty"`

	// At a start: the program's version, how many octets of a torn end were cut
	// off, and the log's name and public key as a note's verifier (c2sp.org/signed-note).
	Version  string `json:"version,omitempty"`
	Cut      int64  `json:"cut,omitempty"`
	Verifier string `json:"verifier,omitempty"`
}

// Peer is who asked. PID is the process's when it connected; it may be another's
// by now. Client has the names of the client blocks that it matched.
type Peer struct {
	UID    uint32   `json:"uid"`
	GID    uint32   `json:"gid"`
	PID    int32    `json:"pid"`
	Client []string `json:"client,omitempty"`
}

// Line is an entry in its place: Seq counts from 0 over all segments, Prev is the
// hash of the line before (zeros before the first), Of the line that an outcome
// belongs to.
type Line struct {
	Seq  uint64  `json:"seq"`
	Prev Hash    `json:"prev"`
	Of   *uint64 `json:"of,omitempty"`
	Entry

	// Raw are the line's octets, without the newline.
	Raw []byte `json:"-"`
}

// Hash is what the next line has as Prev.
func (l *Line) Hash() Hash { return sha256.Sum256(l.Raw) }

// head is what every line begins with; nothing else can stand there.
func head(dst []byte, seq uint64, prev Hash) []byte {
	dst = fmt.Appendf(dst, `{"seq":%d,"prev":"`, seq)
	dst = hex.AppendEncode(dst, prev[:])
	return append(dst, '"', ',')
}

// decode reads a line and leaves alone fields that a later version may add.
func decode(raw []byte) (*Line, error) {
	l := &Line{Raw: raw}
	if err := json.Unmarshal(raw, l); err != nil {
		return nil, err
	}
	if l.Kind == "" {
		return nil, errors.New("has no kind")
	}
	return l, nil
}
