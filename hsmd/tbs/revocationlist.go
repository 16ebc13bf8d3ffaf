package tbs

import "bytes"

// revocationList reads what follows the version of a TBSCertList (RFC 5280,
// section 5.1). nextUpdate, optional in X.509, is asked for (section 5.1.2.5).
func (p *parser) revocationList() error {
	if err := p.innerAlgorithm(); err != nil {
		return err
	}
	var err error
	if p.sum.Issuer, err = p.name("the issuer"); err != nil {
		return err
	}
	if len(p.sum.Issuer) == 2 {
		return malformed("has an empty issuer")
	}
	if err := p.updates(); err != nil {
		return err
	}
	if p.in.more() {
		tag, err := p.in.peekTag()
		if err != nil {
			return err
		}
		if tag == tagSequence {
			if err := p.revoked(); err != nil {
				return err
			}
		}
	}
	if p.in.more() {
		if p.sum.Extensions, err = p.extensions(tagContext0); err != nil {
			return err
		}
	}
	return listExtensions(p.sum.Extensions)
}

func (p *parser) updates() error {
	this, err := p.in.next(maxField)
	if err != nil {
		return err
	}
	var ok bool
	if p.sum.NotBefore, ok = parseTime(this.tag, this.body); !ok {
		return malformed("has a thisUpdate that is no DER time")
	}
	if err := p.notAhead("thisUpdate", p.sum.NotBefore); err != nil {
		return err
	}
	if !p.in.more() {
		return forbidden("has no nextUpdate")
	}
	if tag, err := p.in.peekTag(); err != nil {
		return err
	} else if tag != tagUTCTime && tag != tagGeneralized {
		return forbidden("has no nextUpdate")
	}
	next, err := p.in.next(maxField)
	if err != nil {
		return err
	}
	if p.sum.NotAfter, ok = parseTime(next.tag, next.body); !ok {
		return malformed("has a nextUpdate that is no DER time")
	}
	if p.sum.NotAfter.Before(p.sum.NotBefore) {
		return malformed("has a nextUpdate before its thisUpdate")
	}
	return nil
}

// revoked walks the entries, the one part of a message that is not held.
func (p *parser) revoked() error {
	outer, err := p.in.open(tagSequence)
	if err != nil {
		return err
	}
	if !p.in.more() {
		return malformed("has an empty list of revoked certificates, which must be left out")
	}
	p.in.forget()
	for p.in.more() {
		entry, err := p.in.want(tagSequence, maxEntry, "a revoked certificate")
		if err != nil {
			return err
		}
		serial, reason, err := revokedEntry(entry)
		if err != nil {
			return err
		}
		if p.rules.Revoked != nil {
			if err := p.rules.Revoked(p.sum.Issuer, serial, reason); err != nil {
				return err
			}
		}
		p.sum.Entries++
	}
	p.in.keep()
	p.in.close(outer)
	return nil
}

// revokedEntry reads one entry. Its serial number need not be one that we would
// give: an imported CA may have to revoke what another program issued.
func revokedEntry(entry element) (serial []byte, reason uint8, err error) {
	body := entry.body
	serial, ok := take(&body, tagInteger)
	if !ok || !integer(serial) || len(serial) > 64 {
		return nil, 0, malformed("has a revoked certificate with a malformed serial number")
	}
	if _, ok := readTime(&body); !ok {
		return nil, 0, malformed("has a revoked certificate whose date is no DER time")
	}
	if body.Empty() {
		return serial, 0, nil
	}
	list, ok := take(&body, tagSequence)
	if !ok || !body.Empty() || list.Empty() {
		return nil, 0, malformed("has a revoked certificate with malformed extensions")
	}
	// Most entries have one, the reason: no list is kept for that.
	var seen [8][]byte
	count := 0
	for ; !list.Empty(); count++ {
		extension, ok := readExtension(&list)
		if !ok || count == len(seen) {
			return nil, 0, malformed("has a revoked certificate with malformed or too many extensions")
		}
		for _, id := range seen[:count] {
			if bytes.Equal(id, extension.ID) {
				return nil, 0, malformed("has a revoked certificate with the same extension twice")
			}
		}
		seen[count] = extension.ID
		if err := entryExtension(&extension, &reason); err != nil {
			return nil, 0, err
		}
	}
	return serial, reason, nil
}
