package inventory

import (
	"io"

	"github.com/hsmpki/hsmpki/pkid/store"
)

// pageSize is about how much of the entries is held at once, in octets.
const pageSize = 256 << 10

// EntryReader reads the DER of CRL entries, one after the other, as long as the
// state that it reads is open. It holds a page of them, not all.
type EntryReader struct {
	r          store.Reader
	start, end []byte
	page, rest []byte
	done       bool
}

// ReadEntries reads all entries of a group, in order of serial number's octets.
func (v Inventory) ReadEntries(r store.Reader, g Group) *EntryReader {
	start, end := v.space.CRLEntries(string(g))
	return &EntryReader{r: r, start: start, end: end}
}

// ReadEntriesSince reads the entries of the generation and of later ones.
func (v Inventory) ReadEntriesSince(r store.Reader, g Group, generation uint64) *EntryReader {
	start, end := v.space.CRLNewSince(string(g), generation)
	return &EntryReader{r: r, start: start, end: end}
}

// Size counts the entries to come and their octets.
func (e *EntryReader) Size() (count, octets int64, err error) {
	err = e.r.Scan(e.start, e.end, func(_, entry []byte) error {
		count++
		octets += int64(len(entry))
		return nil
	})
	return count, octets + int64(len(e.rest)), err
}

// Read implements [io.Reader].
func (e *EntryReader) Read(p []byte) (int, error) {
	if len(e.rest) == 0 {
		if e.done {
			return 0, io.EOF
		}
		if err := e.turn(); err != nil {
			return 0, err
		}
	}
	n := copy(p, e.rest)
	e.rest = e.rest[n:]
	if n == 0 && e.done && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// turn reads the next page.
func (e *EntryReader) turn() error {
	e.page, e.done = e.page[:0], true
	err := e.r.Scan(e.start, e.end, func(key, entry []byte) error {
		e.page = append(e.page, entry...)
		if len(e.page) < pageSize {
			return nil
		}
		e.start, e.done = append(append(e.start[:0:0], key...), 0), false // what comes after key
		return store.ErrStop
	})
	e.rest = e.page
	return err
}
