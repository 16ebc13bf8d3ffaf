package ledger

import (
	"bytes"
	"iter"
	"slices"
)

// pageSize is how much memory serials take at a time, in octets.
const pageSize = 64 << 10

// serials holds serial numbers as they are kept, each after its length, in pages
// that never move.
type serials struct {
	pages [][]byte
	count int
}

func (s *serials) add(serial []byte) {
	last := len(s.pages) - 1
	if last < 0 || len(s.pages[last])+1+len(serial) > cap(s.pages[last]) {
		// The first page is as small as most CRLs are.
		s.pages = append(s.pages, make([]byte, 0, max(1<<10, min(pageSize, 32*s.count))))
		last++
	}
	s.pages[last] = append(append(s.pages[last], byte(len(serial))), serial...)
	s.count++
}

func (s *serials) all() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for _, rest := range s.pages {
			for len(rest) > 0 {
				n := 1 + int(rest[0])
				if !yield(rest[1:n]) {
					return
				}
				rest = rest[n:]
			}
		}
	}
}

// sorted gives them in order of their octets.
func (s *serials) sorted() (out serials) {
	for _, serial := range slices.SortedFunc(s.all(), bytes.Compare) {
		out.add(serial)
	}
	return out
}
