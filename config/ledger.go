package config

import "time"

// Ledger is the ledger block: what hsmd makes of what it has signed before.
type Ledger struct {
	// UnrecordedGoodUntil (unrecorded_good_until) is a time in RFC 3339 until
	// which OCSP may say "good" of certificates that this hsmd has not seen issued:
	// those that are older than its ledger, and those that another hsmd with the
	// same key signs. What the ledger knows to be revoked is refused all the same.
	// Default: never.
	UnrecordedGoodUntil time.Time

	Place Place
}

func readLedger(b *block) Ledger {
	var l Ledger
	var until string
	b.str("unrecorded_good_until", &until)
	l.Place = b.read()
	if until != "" {
		var err error
		if l.UnrecordedGoodUntil, err = time.Parse(time.RFC3339, until); err != nil {
			b.faultf("unrecorded_good_until", "unrecorded_good_until %q: must be a time as 2027-03-01T00:00:00Z", until)
		}
	}
	return l
}
