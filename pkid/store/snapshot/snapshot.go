// Package snapshot copies a whole state out of a store and back into an empty
// one, as one stream that says of itself whether it is whole:
//
//	"pkid snapshot 1\n"
//	a record for each key: 1 (a value) or 2 (a count), key, value,
//	    each of the two with its length in front (uvarint)
//	0, how many records there were (uvarint), SHA-256 of all octets before
//
// What the keys and values mean is not its matter. It has what the state has:
// no CA's key, but all that pkid knows.
//
// Start at [Write] and [Restore].
package snapshot

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/hsmpki/hsmpki/pkid/store"
)

const header = "pkid snapshot 1\n"

// The kinds of record.
const (
	end   = 0 // of the records
	value = 1
	count = 2
)

// maxPart bounds a key or value, in octets: nothing that pkid keeps comes near.
const maxPart = 64 << 20

// batch is how many octets one update of a restore writes.
const batch = 4 << 20

// Summary says what a snapshot has.
type Summary struct {
	Records uint64
	Octets  int64
	SHA256  [32]byte // of all octets before it
}

// Write writes one consistent state while others go on.
func Write(ctx context.Context, s store.Store, to io.Writer) (*Summary, error) {
	w := &writer{to: bufio.NewWriterSize(to, 256<<10), sum: sha256.New()}
	err := s.View(ctx, func(r store.Reader) error {
		w.octets([]byte(header))
		// Key 0 and what begins with it are the engine's own.
		return r.Scan([]byte{1}, nil, func(k, v []byte) error {
			kind := byte(value)
			if _, err := r.Count(k); err == nil {
				kind = count
			}
			w.record(kind, k, v)
			if w.err != nil {
				return w.err
			}
			return ctx.Err()
		})
	})
	if err != nil {
		return nil, err
	}
	w.octets(binary.AppendUvarint([]byte{end}, w.summary.Records))
	w.sum.Sum(w.summary.SHA256[:0])
	w.octets(w.summary.SHA256[:])
	if w.err == nil {
		w.err = w.to.Flush()
	}
	return &w.summary, w.err
}

type writer struct {
	to      *bufio.Writer
	sum     hash.Hash
	summary Summary
	err     error
}

func (w *writer) octets(p []byte) {
	if w.err != nil {
		return
	}
	w.sum.Write(p)
	w.summary.Octets += int64(len(p))
	_, w.err = w.to.Write(p)
}

func (w *writer) record(kind byte, k, v []byte) {
	w.octets(binary.AppendUvarint([]byte{kind}, uint64(len(k))))
	w.octets(k)
	w.octets(binary.AppendUvarint(nil, uint64(len(v))))
	w.octets(v)
	w.summary.Records++
}

// Read reads a snapshot to its end and calls fn for each record. Only when it
// returns without an error was it whole, and were the records what was written.
func Read(from io.Reader, fn func(isCount bool, key, value []byte) error) (*Summary, error) {
	r := &reader{from: bufio.NewReaderSize(from, 256<<10), sum: sha256.New()}
	if string(r.octets(len(header))) != header {
		return nil, r.fault("it does not begin as a snapshot of pkid's")
	}
	var before []byte
	for {
		kind := r.octets(1)
		if r.err != nil {
			return nil, r.fault("")
		}
		if kind[0] == end {
			return r.end()
		}
		if kind[0] != value && kind[0] != count {
			return nil, r.fault(fmt.Sprintf("a record of kind %d", kind[0]))
		}
		k := bytes.Clone(r.part())
		v := r.part()
		switch {
		case r.err != nil:
			return nil, r.fault("")
		case len(k) == 0 || k[0] == 0 || before != nil && bytes.Compare(k, before) <= 0:
			return nil, r.fault("its keys are not in order")
		case kind[0] == count && len(v) != 8:
			return nil, r.fault("a count that has not eight octets")
		}
		before = k
		r.summary.Records++
		if err := fn(kind[0] == count, k, v); err != nil {
			return nil, err
		}
	}
}

type reader struct {
	from    *bufio.Reader
	sum     hash.Hash
	summary Summary
	err     error
}

// ErrDamaged is that a snapshot is not what was written.
var ErrDamaged = errors.New("the snapshot is damaged")

func (r *reader) fault(why string) error {
	if r.err != nil {
		why = r.err.Error()
		if errors.Is(r.err, io.EOF) || errors.Is(r.err, io.ErrUnexpectedEOF) {
			why = "it ends too early"
		}
	}
	return fmt.Errorf("%w: %s (at octet %d)", ErrDamaged, why, r.summary.Octets)
}

func (r *reader) octets(n int) []byte {
	if r.err != nil {
		return nil
	}
	p := make([]byte, n)
	if _, r.err = io.ReadFull(r.from, p); r.err != nil {
		return nil
	}
	r.sum.Write(p)
	r.summary.Octets += int64(n)
	return p
}

// ReadByte is for binary.ReadUvarint.
func (r *reader) ReadByte() (byte, error) {
	p := r.octets(1)
	if r.err != nil {
		return 0, r.err
	}
	return p[0], nil
}

func (r *reader) part() []byte {
	n, err := binary.ReadUvarint(r)
	if err == nil && n > maxPart {
		err = fmt.Errorf("a part of %d octets", n)
	}
	if err != nil {
		if r.err == nil {
			r.err = err
		}
		return nil
	}
	return r.octets(int(n))
}

func (r *reader) end() (*Summary, error) {
	n, err := binary.ReadUvarint(r)
	if err != nil {
		return nil, r.fault("")
	}
	if n != r.summary.Records {
		return nil, r.fault(fmt.Sprintf("it has %d records, and says %d", r.summary.Records, n))
	}
	r.sum.Sum(r.summary.SHA256[:0])
	if sum := r.octets(sha256.Size); !bytes.Equal(sum, r.summary.SHA256[:]) {
		return nil, r.fault("its SHA-256 is another")
	}
	if _, err := r.from.ReadByte(); err != io.EOF {
		return nil, r.fault("something follows its end")
	}
	return &r.summary, nil
}

// ErrNotEmpty is that a state is there already.
var ErrNotEmpty = errors.New("the state is not empty")

// Restore writes a snapshot into an empty store, and then reads it back and
// compares. The store is to be used only if it returns without an error.
func Restore(ctx context.Context, from io.Reader, s store.Store) (*Summary, error) {
	if err := empty(ctx, s); err != nil {
		return nil, err
	}
	p := &pending{ctx: ctx, s: s}
	read, err := Read(from, p.add)
	if err != nil {
		return nil, err
	}
	if err := p.flush(); err != nil {
		return nil, err
	}
	written, err := Write(ctx, s, io.Discard)
	if err != nil {
		return nil, err
	}
	if *written != *read {
		return nil, fmt.Errorf("%w: what was written is not what can be read back", ErrDamaged)
	}
	return read, nil
}

func empty(ctx context.Context, s store.Store) error {
	return s.View(ctx, func(r store.Reader) error {
		return r.Scan([]byte{1}, nil, func([]byte, []byte) error { return ErrNotEmpty })
	})
}

// pending are records that wait for the next update.
type pending struct {
	ctx     context.Context
	s       store.Store
	records []record
	octets  int
}

type record struct {
	isCount    bool
	key, value []byte
}

func (p *pending) add(isCount bool, k, v []byte) error {
	p.records = append(p.records, record{isCount, k, v})
	if p.octets += len(k) + len(v); p.octets < batch {
		return nil
	}
	return p.flush()
}

func (p *pending) flush() error {
	err := p.s.Update(p.ctx, func(tx store.Tx) error {
		for _, r := range p.records {
			var err error
			if r.isCount {
				err = tx.Add(r.key, int64(binary.BigEndian.Uint64(r.value)))
			} else {
				err = tx.Put(r.key, r.value)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	p.records, p.octets = nil, 0
	return err
}
