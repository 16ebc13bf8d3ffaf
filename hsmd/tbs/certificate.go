package tbs

import "golang.org/x/crypto/cryptobyte"

// certificate reads what follows the version of a TBSCertificate (RFC 5280,
// section 4.1). Unique identifiers are refused: conforming CAs do not make
// them (section 4.1.2.8).
func (p *parser) certificate() error {
	serial, err := p.in.want(tagInteger, maxField, "the serial number")
	if err != nil {
		return err
	}
	if !integer(serial.body) || serial.body[0]&0x80 != 0 || len(serial.body) > 20 || string(serial.body) == "\x00" {
		return malformed("has a serial number that is not positive, or longer than 20 octets")
	}
	p.sum.Serial = serial.body

	if err := p.innerAlgorithm(); err != nil {
		return err
	}
	if p.sum.Issuer, err = p.name("the issuer"); err != nil {
		return err
	}
	if len(p.sum.Issuer) == 2 {
		return malformed("has an empty issuer")
	}
	if err := p.validity(); err != nil {
		return err
	}
	if p.sum.Subject, err = p.name("the subject"); err != nil {
		return err
	}
	if err := p.publicKey(); err != nil {
		return err
	}
	if p.in.more() {
		if p.sum.Extensions, err = p.extensions(tagContext3); err != nil {
			return err
		}
	}
	return p.basicConstraints()
}

func (p *parser) validity() error {
	validity, err := p.in.want(tagSequence, maxField, "the validity")
	if err != nil {
		return err
	}
	body := validity.body
	var ok bool
	if p.sum.NotBefore, ok = readTime(&body); !ok {
		return malformed("has a notBefore that is no DER time")
	}
	if p.sum.NotAfter, ok = readTime(&body); !ok || !body.Empty() {
		return malformed("has a notAfter that is no DER time")
	}
	if p.sum.NotAfter.Before(p.sum.NotBefore) {
		return malformed("has a notAfter before its notBefore")
	}
	return p.notAhead("notBefore", p.sum.NotBefore)
}

// publicKey reads a SubjectPublicKeyInfo. The key inside is the subject's
// affair; here only its frame is looked at.
func (p *parser) publicKey() error {
	spki, err := p.in.want(tagSequence, maxField, "the subject's public key")
	if err != nil {
		return err
	}
	body := spki.body
	algorithm, ok := take(&body, tagSequence)
	if !ok || !algorithmIdentifier(algorithm) {
		return malformed("has a public key whose algorithm is malformed")
	}
	if key, ok := take(&body, tagBitString); !ok || !bitString(key) || !body.Empty() {
		return malformed("has a public key that is no BIT STRING")
	}
	p.sum.SPKI = spki.der
	return nil
}

// idBasicConstraints is 2.5.29.19.
const idBasicConstraints = "\x55\x1d\x13"

// basicConstraints tells a CA certificate (RFC 5280, section 4.2.1.9). It is
// read strictly because it is the one extension that a reader must not
// understand in another way than hsmd.
func (p *parser) basicConstraints() error {
	for i := range p.sum.Extensions {
		if string(p.sum.Extensions[i].ID) != idBasicConstraints {
			continue
		}
		if !p.readBasicConstraints(p.sum.Extensions[i].Value) {
			return malformed("has malformed basicConstraints")
		}
	}
	return nil
}

func (p *parser) readBasicConstraints(value cryptobyte.String) bool {
	body, ok := take(&value, tagSequence)
	if !ok || !value.Empty() {
		return false
	}
	if len(body) > 0 && body[0] == tagBoolean {
		if p.sum.IsCA, ok = takeTrue(&body); !ok {
			return false
		}
	}
	if !body.Empty() {
		length, ok := take(&body, tagInteger)
		// A path length needs cA; one octet is far more than any chain has.
		if !ok || !p.sum.IsCA || len(length) != 1 || length[0]&0x80 != 0 {
			return false
		}
		p.sum.MaxPathLen = int(length[0])
	}
	return body.Empty()
}
