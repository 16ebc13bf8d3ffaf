package constraint

import (
	"encoding/binary"
	"errors"
	"time"
)

// Count counts a certificate that was signed before, as a log says.
func (l *Limiter) Count(id [32]byte, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.meter(id)
	switch day := dayOf(at); {
	case day > m.day:
		m.day, m.certificates = day, 1
	case day == m.day:
		m.certificates++
	}
}

// AppendTally appends the certificates of the day to dst, for Restore: of each
// key pair that has signed any its id, the day and their number, both unsigned
// varints (encoding/binary).
func (l *Limiter) AppendTally(dst []byte, now time.Time) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, m := range l.meters {
		if m.certificates > 0 && m.day >= dayOf(now) {
			dst = append(dst, id[:]...)
			dst = binary.AppendUvarint(dst, uint64(m.day))
			dst = binary.AppendUvarint(dst, uint64(m.certificates))
		}
	}
	return dst
}

// Restore takes what AppendTally has made, before anything else is counted.
func (l *Limiter) Restore(tally []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(tally) > 0 {
		var numbers [2]uint64
		if len(tally) < 32 {
			return errTally
		}
		id := [32]byte(tally)
		tally = tally[32:]
		for i := range numbers {
			n, size := binary.Uvarint(tally)
			if size <= 0 || n > 1<<40 {
				return errTally
			}
			numbers[i], tally = n, tally[size:]
		}
		m := l.meter(id)
		m.day, m.certificates = int64(numbers[0]), int(numbers[1])
	}
	return nil
}

// DropAhead forgets days that begin after tomorrow, and says of how many key pairs:
// the clock was ahead when they were counted, and until they come no key pair of
// them would begin another day. It is for a start, where somebody looks.
func (l *Limiter) DropAhead(now time.Time) (dropped int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range l.meters {
		if m.day > dayOf(now)+1 {
			m.day, m.certificates = 0, 0
			dropped++
		}
	}
	return dropped
}

var errTally = errors.New("what the ledger has of the certificates of the day is damaged")
