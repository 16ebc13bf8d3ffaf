package server

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/hsmpki/hsmpki/hsmd/auditlog"
	"github.com/hsmpki/hsmpki/hsmd/constraint"
	"github.com/hsmpki/hsmpki/hsmd/ledger"
	"github.com/hsmpki/hsmpki/hsmd/managedkey"
	"github.com/hsmpki/hsmpki/hsmd/tbs"
	"github.com/hsmpki/hsmpki/wire"
)

// list judges the message if it turns out to be a CRL. A responder's key signs
// none.
func (s *Server) list(public *managedkey.Public) *ledger.List {
	if public == nil {
		return nil
	}
	return s.ledger.NewList(public.SPKI, s.now())
}

// remember has the ledger judge what is to be signed, and know of it from here
// on. What people have approved is signed against its word. What the log must have
// besides, so that the ledger can be made anew from it, goes there now: lines
// that the message's own may only follow.
func (c *session) remember(public *managedkey.Public, list *ledger.List, sum *tbs.Summary, e *auditlog.Entry, approved bool) (before []*auditlog.Pending, err error) {
	s := c.srv
	switch sum.Kind {
	case tbs.Certificate:
		err = s.ledger.Issue(ledger.NewIssuer(sum.Issuer, public.SPKI), sum.Serial, sum.NotAfter, ledger.Sum(e.SHA256), approved)
	case tbs.RevocationList:
		e.IssuerName, e.IssuerKey = sum.Issuer, public.SPKI
		if err = s.claim(list, sum, ledger.Sum(e.SHA256), approved); err == nil {
			before, err = c.recordRevoked(list, e)
		}
	case tbs.OCSPResponse:
		for i := range sum.Answers {
			if err == nil && sum.Answers[i].Status == tbs.Good && !approved {
				err = s.good(&sum.Answers[i])
			}
		}
	}
	if err == nil {
		err = s.mark()
	}
	return before, s.notRemembered(sum.Kind, err)
}

func (s *Server) claim(list *ledger.List, sum *tbs.Summary, of ledger.Sum, approved bool) error {
	var n ledger.Numbering
	var err error
	if n.Number, err = strconv.ParseUint(sum.Number(), 10, 64); err != nil {
		return &ledger.Refusal{Rule: ledger.RuleNumber, Reason: "has a number beyond 2^62"}
	}
	if base := sum.Base(); base != "" {
		n.Base = new(uint64)
		if *n.Base, err = strconv.ParseUint(base, 10, 64); err != nil {
			return err // it is before the number
		}
	}
	return list.Claim(sum.Issuer, n, of, approved)
}

func (s *Server) good(a *tbs.Answer) error {
	unrecorded := s.now().Before(s.state.Load().UnrecordedGoodUntil)
	return s.ledger.Good(&ledger.CertID{Hash: a.Hash, NameHash: a.NameHash, KeyHash: a.KeyHash, Serial: a.Serial}, unrecorded)
}

// maxSerials is how many serials a line of the log has.
const maxSerials = 1000

// recordRevoked has the log take down what the CRL is the first to revoke, on
// lines before the CRL's own.
func (c *session) recordRevoked(list *ledger.List, of *auditlog.Entry) (lines []*auditlog.Pending, err error) {
	for serials := range list.First(maxSerials) {
		e := &auditlog.Entry{Kind: auditlog.Revoked, SPKI: auditlog.Hash(list.Issuer().Key), IssuerName: of.IssuerName, Number: of.Number, Peer: c.peerEntry()}
		for _, serial := range serials {
			e.Serials = append(e.Serials, hex.EncodeToString(serial))
		}
		line, err := c.srv.audit.Append(e, true)
		if err != nil {
			return nil, c.srv.notRecorded(err)
		}
		lines = append(lines, line)
	}
	return lines, nil
}

// markEvery is how many lines of the log a start may have to go through that the
// ledger knows.
const markEvery = 500

// mark notes how far the ledger has what the log has. Every line of it was
// claimed in the ledger, and counted, before it was handed to the log: what is
// counted since may be counted once more after a restart, and never less.
func (s *Server) mark() error {
	size, last := s.audit.Size(), s.marked.Load()
	if size < last+markEvery || !s.marked.CompareAndSwap(last, size) {
		return nil
	}
	return s.ledger.Mark(size, s.limiter.AppendTally(nil, s.now()))
}

// notRemembered turns what the ledger has against it into the answer.
func (s *Server) notRemembered(kind tbs.Kind, err error) error {
	refusal, ok := errors.AsType[*ledger.Refusal](err)
	switch {
	case err == nil:
		return nil
	case !ok && errors.As(err, new(*wire.Error)):
		return err
	case !ok:
		s.quiet.warn("not signed: the ledger fails", "error", err)
		return &wire.Error{Code: wire.Unavailable, RetryAfter: 10 * time.Second, Message: "not signed: " + err.Error()}
	case refusal.Again:
		return &wire.Error{Code: wire.Busy, RetryAfter: time.Second, Message: fmt.Sprintf("the %s to be signed %s", kind, refusal)}
	}
	return &tbs.Error{Kind: kind, Forbidden: true, Reason: refusal.Error()}
}

// Replay brings the ledger to where the log is: what a crash took of it, or what
// was signed before it was there; and counts what was signed today.
func Replay(l *ledger.Ledger, log *auditlog.Log, counted *constraint.Limiter) error {
	from, tally, err := l.Position()
	if err == nil {
		err = counted.Restore(tally)
	}
	if err != nil {
		return err
	}
	if size := log.Size(); from > size {
		return fmt.Errorf("the ledger has seen %d lines of the log of signatures, which has %d: it is not the log that the ledger belongs to, or a part of it is lost", from, size)
	}
	var last time.Time
	for line, err := range log.Read(from) {
		if err != nil {
			return fmt.Errorf("the ledger cannot be brought up to the log of signatures: %w", err)
		}
		f, err := factOf(&line.Entry)
		if err == nil && f != nil {
			err = l.Replay(f)
		}
		if err != nil {
			return fmt.Errorf("line %d of the log of signatures: %w", line.Seq, err)
		}
		if last = line.Time; line.Kind == auditlog.Certificate {
			counted.Count(line.SPKI, line.Time)
		}
	}
	return l.Mark(log.Size(), counted.AppendTally(nil, last))
}

// factOf gives what the ledger remembers of a line, nil for nothing.
func factOf(e *auditlog.Entry) (*ledger.Fact, error) {
	f := &ledger.Fact{Issuer: ledger.Issuer{Name: e.IssuerName, Key: e.SPKI, SPKI: e.IssuerKey}, NotAfter: e.NotAfter, Sum: ledger.Sum(e.SHA256)}
	serials, err := e.Serials, error(nil)
	switch e.Kind {
	case auditlog.Certificate:
		f.Kind, serials = ledger.Issued, []string{strings.ReplaceAll(e.Serial, ":", "")}
		if f.Issuer.Name, err = issuerOf(e.TBS); err != nil {
			return nil, err
		}
	case auditlog.Revoked:
		f.Kind = ledger.Revoked
	case auditlog.CRL:
		f.Kind = ledger.Listed
	default:
		return nil, nil
	}
	if f.Kind != ledger.Issued {
		if f.Number, err = strconv.ParseUint(e.Number, 10, 64); err != nil {
			return nil, err
		}
	}
	for _, text := range serials {
		serial, err := hex.DecodeString(text)
		if err != nil {
			return nil, fmt.Errorf("serial number: %w", err)
		}
		f.Serials = append(f.Serials, serial)
	}
	return f, nil
}

// issuerOf cuts the issuer out of a TBSCertificate that was recognised once.
func issuerOf(octets []byte) ([]byte, error) {
	in := cryptobyte.String(octets)
	var certificate, issuer cryptobyte.String
	if !in.ReadASN1(&certificate, der.SEQUENCE) || !certificate.SkipASN1(der.Tag(0).ContextSpecific().Constructed()) ||
		!certificate.SkipASN1(der.INTEGER) || !certificate.SkipASN1(der.SEQUENCE) || !certificate.ReadASN1Element(&issuer, der.SEQUENCE) {
		return nil, errors.New("has no certificate that can be read")
	}
	return issuer, nil
}
