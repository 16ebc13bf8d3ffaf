package server

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"strings"
	"time"

	"github.com/hsmpki/hsmpki/hsmd/auditlog"
	"github.com/hsmpki/hsmpki/hsmd/managedkey"
	"github.com/hsmpki/hsmpki/hsmd/tbs"
	"github.com/hsmpki/hsmpki/wire"
)

// record is one signature in the log of signatures.
type record struct {
	srv  *Server
	kind auditlog.Kind
	line *auditlog.Pending
}

// record has the log take down what is about to be signed: nothing is, where it
// does not take it. CRLs may take of the space that is kept back on the disk:
// where nothing is issued any more, what was can be revoked. Where a line before
// it is not written, this one is not either.
func (c *session) record(k *managedkey.Key, req *wire.SignRequest, e *auditlog.Entry, before ...*auditlog.Pending) (*record, error) {
	e.Key, e.Scheme, e.Peer, e.Context = k.Name(), req.Scheme.String(), c.peerEntry(), printable(req.Context)
	copy(e.SPKI[:], req.SPKI)
	line, err := c.srv.audit.Append(e, e.Kind == auditlog.CRL, before...)
	if err != nil {
		return nil, c.srv.notRecorded(err)
	}
	if c.srv.signing.Add(1) == 1 {
		line.Soon()
	}
	return &record{c.srv, e.Kind, line}, nil
}

// ends takes down what became of it, and gives the error that the peer is to have:
// no signature leaves before its record is durable.
func (r *record) ends(ctx context.Context, signature []byte, err error) error {
	defer r.srv.signing.Add(-1)
	if err == nil {
		if err = r.line.Wait(ctx); err != nil {
			err = notRecorded(ctx, err)
		}
	}
	e := auditlog.Entry{Kind: auditlog.Signed}
	switch {
	case err != nil:
		e.Kind, e.Error = auditlog.Failed, printable(err.Error())
	case r.kind == auditlog.Certificate:
		e.Signature = signature
	default:
		e.SignatureSHA256 = sha256.Sum256(signature)
	}
	// Without the outcome the line counts as signed.
	_ = r.srv.audit.Outcome(r.line, &e)
	return err
}

// seen is what the record wants of a message beyond its summary.
type seen struct {
	req *wire.SignRequest
	sum hash.Hash // of a message in parts, where the scheme has another hash
	der certificateOnly
}

// see looks on while a message in parts is read.
func see(req *wire.SignRequest) *seen {
	s := &seen{req: req}
	if req.Parts == nil {
		return s
	}
	var to io.Writer = &s.der
	if req.Scheme.Hash() != crypto.SHA256 {
		s.sum = sha256.New()
		to = io.MultiWriter(to, s.sum)
	}
	req.Parts = io.TeeReader(req.Parts, to)
	return s
}

// entry says what is to be signed.
func (s *seen) entry(sum *tbs.Summary, signed []byte) *auditlog.Entry {
	e := &auditlog.Entry{Size: sum.Size, NotBefore: sum.NotBefore, NotAfter: sum.NotAfter, SHA256: s.sha256(signed)}
	if len(sum.Issuer) > 0 {
		e.Issuer = printable(tbs.NameString(sum.Issuer))
	}
	if len(sum.Serial) > 0 {
		e.Serial = sum.SerialString()
	}
	switch sum.Kind {
	case tbs.Certificate:
		e.Kind, e.CA, e.TBS = auditlog.Certificate, sum.IsCA, s.req.Message
		if s.req.Parts != nil {
			e.TBS = s.der.Bytes()
		}
		e.Subject, e.Names = printable(tbs.NameString(sum.Subject)), names(sum)
	case tbs.RevocationList:
		e.Kind, e.Number, e.Base, e.Count = auditlog.CRL, sum.Number(), sum.Base(), sum.Entries
	case tbs.OCSPResponse:
		e.Kind, e.Count = auditlog.OCSP, sum.Entries
	case tbs.Request:
		e.Kind, e.Subject, e.Names = auditlog.CSR, printable(tbs.NameString(sum.Subject)), names(sum)
	}
	return e
}

// sha256 is the message's, which may be what is signed.
func (s *seen) sha256(signed []byte) (sum auditlog.Hash) {
	switch {
	case s.req.Scheme.Hash() == crypto.SHA256:
		copy(sum[:], signed)
	case s.sum != nil:
		s.sum.Sum(sum[:0])
	default:
		sum = sha256.Sum256(s.req.Message)
	}
	return sum
}

// certificateOnly keeps a message that is a certificate. Of any other, which may
// be long, it keeps no more than tells: what the first element is (see package tbs).
type certificateOnly struct {
	bytes.Buffer
	other bool
}

func (c *certificateOnly) Write(p []byte) (int, error) {
	if c.other {
		return len(p), nil
	}
	c.Buffer.Write(p)
	if der := c.Bytes(); len(der) > 6 {
		first := 2
		if der[1] > 0x80 {
			first += int(der[1] & 0x7f)
		}
		if c.other = first > 6 || der[first] != 0xa0; c.other {
			c.Buffer = bytes.Buffer{}
		}
	}
	return len(p), nil
}

// maxNames bounds the names of a line; a certificate's line has all of it besides.
const maxNames = 100

func names(s *tbs.Summary) []string {
	all := s.Names()
	all = all[:min(len(all), maxNames)]
	for i := range all {
		all[i] = printable(all[i])
	}
	return all
}

func (c *session) peerEntry() *auditlog.Peer {
	_, g := c.now()
	return &auditlog.Peer{UID: c.peer.UID, GID: c.peer.GID, PID: c.peer.PID, Client: g.Names}
}

// refuse takes down that a request was refused.
func (c *session) refuse(key, context string, reason error) {
	code := "message"
	if e, ok := errors.AsType[*wire.Error](reason); ok {
		code = e.Code.String()
	}
	c.srv.audit.Refuse(auditlog.Entry{Key: printable(key), Peer: c.peerEntry(), Context: printable(context), Reason: printable(reason.Error())}, code)
}

// notRecorded is the answer where there is no record.
func notRecorded(ctx context.Context, err error) error {
	if wire.GaveUp(ctx) {
		return err
	}
	return &wire.Error{Code: wire.Unavailable, RetryAfter: 10 * time.Second, Message: "not signed, for it could not be recorded: " + err.Error()}
}

func (s *Server) notRecorded(err error) error {
	s.quiet.warn("not signed: it could not be recorded", "error", err)
	return notRecorded(context.Background(), err)
}

// printable is text that came from outside, as it can be shown: cut to a length,
// and without what a terminal would take for an order.
func printable(s string) string {
	const most = 1024
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r < ' ', r >= 0x7f && r < 0xa0, r >= '\u2028' && r <= '\u202e', r >= '\u2066' && r <= '\u2069':
			return '\ufffd'
		}
		return r
	}, s)
}
