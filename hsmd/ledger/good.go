package ledger

// CertID is whom an OCSP answer is about (RFC 6960, section 4.1.1). Hash holds
// the contents octets of the hash's object identifier, Serial those of the
// serial number.
type CertID struct {
	Hash, NameHash, KeyHash []byte
	Serial                  []byte
}

// Good judges an OCSP answer that says "good". Where unrecorded is allowed, it
// may be about a certificate that the ledger has not seen, be it that another
// hsmd has signed it or that it is older than the ledger; of what the ledger knows
// to be revoked it is refused all the same.
func (l *Ledger) Good(c *CertID, unrecorded bool) error {
	if _, known := certIDHashes[string(c.Hash)]; !known {
		return &Refusal{Rule: RuleIssued, Reason: `is to say "good" of a certificate whose issuer is named with a hash that is none of SHA-1, SHA-256, SHA-384 and SHA-512`}
	}
	issuer, err := l.get(hashesKey(string(c.Hash), c.KeyHash, c.NameHash))
	if err != nil {
		return err
	}
	var issued []byte
	if len(issuer) == len(digest{}) {
		id := digest(issuer)
		value, err := l.get(revokedKey(id, c.Serial))
		if err != nil {
			return err
		}
		if value != nil {
			number, _, err := readRevoked(value)
			if err != nil {
				return err
			}
			return refuse(RuleRevoked, `is to say "good" of serial number %s, which was revoked in CRL number %d`, colons(c.Serial), number)
		}
		if issued, err = l.get(issuedKey(id, c.Serial)); err != nil {
			return err
		}
	}
	if issued == nil && !unrecorded {
		return refuse(RuleIssued, `is to say "good" of serial number %s, which the ledger does not know as issued (unrecorded_good_until)`, colons(c.Serial))
	}
	return nil
}
