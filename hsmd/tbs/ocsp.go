package tbs

import (
	"time"

	"golang.org/x/crypto/cryptobyte"
)

// ocspResponse reads a ResponseData (RFC 6960, section 4.2.1). Its times are
// GeneralizedTime in every year.
func (p *parser) ocspResponse() error {
	if err := p.responder(); err != nil {
		return err
	}
	produced, err := p.in.want(tagGeneralized, maxField, "producedAt")
	if err != nil {
		return err
	}
	var ok bool
	if p.sum.ProducedAt, ok = generalizedTime(produced.body); !ok {
		return malformed("has a producedAt that is no DER time")
	}
	if err := p.notAhead("producedAt", p.sum.ProducedAt); err != nil {
		return err
	}
	responses, err := p.in.want(tagSequence, maxField, "the list of answers")
	if err != nil {
		return err
	}
	if responses.body.Empty() {
		return malformed("has no answer")
	}
	for list := responses.body; !list.Empty(); p.sum.Entries++ {
		if err := p.singleResponse(&list); err != nil {
			return err
		}
	}
	if p.in.more() {
		if p.sum.Extensions, err = p.extensions(tagContext1); err != nil {
			return err
		}
	}
	return nil
}

// responder reads the CHOICE of name and SHA-1 hash of the responder's key.
func (p *parser) responder() error {
	id, err := p.in.next(maxField)
	if err != nil {
		return err
	}
	inner := id.body
	if id.tag == tagContext1 {
		if !isName(inner) || len(inner) == 2 {
			return malformed("has a malformed responder name")
		}
		p.sum.Issuer = inner
		return nil
	}
	if hash, ok := take(&inner, tagOctetString); !ok || len(hash) != 20 || !inner.Empty() {
		return malformed("has a responder key hash that is not 20 octets")
	}
	return nil
}

// singleResponse reads one answer. nextUpdate, optional in RFC 6960, is asked
// for: an answer without one is good for ever.
func (p *parser) singleResponse(list *cryptobyte.String) error {
	body, ok := take(list, tagSequence)
	if !ok {
		return malformed("has a malformed answer")
	}
	answer, ok := certID(&body)
	if !ok {
		return malformed("has an answer with a malformed certificate id")
	}
	if p.sum.Serial == nil {
		p.sum.Serial = answer.Serial
	}
	if answer.Status, ok = certStatus(&body); !ok {
		return malformed("has an answer with a malformed status")
	}
	p.sum.Answers = append(p.sum.Answers, answer)
	this, ok := takeGeneralized(&body)
	if !ok {
		return malformed("has an answer whose thisUpdate is no DER time")
	}
	if err := p.notAhead("thisUpdate", this); err != nil {
		return err
	}
	wrapped, ok := take(&body, tagContext0)
	if !ok {
		return forbidden("has an answer without nextUpdate")
	}
	next, ok := takeGeneralized(&wrapped)
	if !ok || !wrapped.Empty() || next.Before(this) {
		return malformed("has an answer whose nextUpdate is no DER time, or before its thisUpdate")
	}
	if !body.Empty() {
		wrapped, ok := take(&body, tagContext1)
		if !ok || !body.Empty() {
			return malformed("has an answer with elements that do not belong there")
		}
		if _, err := readExtensions(wrapped); err != nil {
			return err
		}
	}
	if p.sum.NotBefore.IsZero() || this.Before(p.sum.NotBefore) {
		p.sum.NotBefore = this
	}
	if next.After(p.sum.NotAfter) {
		p.sum.NotAfter = next
	}
	return nil
}

// certID reads issuer hashes and serial number (RFC 6960, section 4.1.1).
func certID(in *cryptobyte.String) (a Answer, ok bool) {
	body, ok := take(in, tagSequence)
	if !ok {
		return a, false
	}
	algorithm, ok := take(&body, tagSequence)
	if !ok || !algorithmIdentifier(algorithm) {
		return a, false
	}
	a.Hash, _ = take(&algorithm, tagOID)
	for _, hash := range []*[]byte{&a.NameHash, &a.KeyHash} {
		if *hash, ok = take(&body, tagOctetString); !ok || len(*hash) < 16 || len(*hash) > 64 {
			return a, false
		}
	}
	a.Serial, ok = take(&body, tagInteger)
	return a, ok && integer(a.Serial) && len(a.Serial) <= 64 && body.Empty()
}

// certStatus reads good [0], revoked [1] or unknown [2].
func certStatus(in *cryptobyte.String) (Status, bool) {
	if len(*in) >= 2 && ((*in)[0] == 0x80 || (*in)[0] == 0x82) {
		tag := (*in)[0]
		null, ok := take(in, tag)
		return Status(tag & 0x1f), ok && len(null) == 0
	}
	info, ok := take(in, tagContext1)
	if !ok {
		return Revoked, false
	}
	if _, ok := takeGeneralized(&info); !ok {
		return Revoked, false
	}
	if info.Empty() {
		return Revoked, true
	}
	wrapped, ok := take(&info, tagContext0)
	if !ok || !info.Empty() {
		return Revoked, false
	}
	// CRLReason, RFC 5280, section 5.3.1: 0 to 10 without 7.
	reason, ok := take(&wrapped, tagEnumerated)
	return Revoked, ok && wrapped.Empty() && len(reason) == 1 && reason[0] <= 10 && reason[0] != 7
}

func takeGeneralized(in *cryptobyte.String) (time.Time, bool) {
	body, ok := take(in, tagGeneralized)
	if !ok {
		return time.Time{}, false
	}
	return generalizedTime(body)
}
