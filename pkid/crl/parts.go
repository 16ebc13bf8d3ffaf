package crl

import (
	"context"

	"github.com/hsmpki/hsmpki/pkid/store"
)

// parts cuts a TBSCertList into parts as it is written. The first and the last,
// which may be the same, are held until the list is whole: what stands before
// the one and after the other is known only when it is signed. Those between are
// stored at once, each in an update of its own, so that neither a list nor a
// batch of the size of a list is ever held.
type parts struct {
	store store.Store
	ctx   context.Context // of the build
	key   func(part uint32) []byte
	ours  func(store.Reader) (*record, error) // an error if the build is no longer ours

	first, last []byte
	flushed     uint32 // parts that are behind last
	size        int64
}

// Write implements [io.Writer].
func (p *parts) Write(octets []byte) (int, error) {
	for rest := octets; len(rest) > 0; {
		if len(p.last) == partSize {
			if err := p.flush(); err != nil {
				return 0, err
			}
		}
		n := min(partSize-len(p.last), len(rest))
		p.last = append(p.last, rest[:n]...)
		rest = rest[n:]
	}
	p.size += int64(len(octets))
	return len(octets), nil
}

// flush puts the last part away, for another one.
func (p *parts) flush() error {
	if p.flushed == 0 {
		p.first, p.last = p.last, make([]byte, 0, partSize)
		p.flushed++
		return nil
	}
	err := p.store.Update(p.ctx, func(tx store.Tx) error {
		if _, err := p.ours(tx); err != nil {
			return err
		}
		return tx.Put(p.key(p.flushed), p.last)
	})
	p.last = p.last[:0]
	p.flushed++
	return err
}

func (p *parts) count() uint32 { return p.flushed + 1 }

// finish stores the first and the last part with what stands around the
// TBSCertList.
func (p *parts) finish(tx store.Tx, before, after []byte) error {
	if p.flushed == 0 {
		return tx.Put(p.key(0), join(before, p.last, after))
	}
	if err := tx.Put(p.key(0), join(before, p.first)); err != nil {
		return err
	}
	return tx.Put(p.key(p.flushed), join(p.last, after))
}

func join(pieces ...[]byte) (out []byte) {
	for _, piece := range pieces {
		out = append(out, piece...)
	}
	return out
}
