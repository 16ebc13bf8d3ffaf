package managedkey

import (
	"maps"
	"slices"
	"strings"
)

// Set is the keys that hsmd knows. It never changes: [Set.With] and
// [Set.Without] make another, and whoever holds one goes on with it.
type Set struct {
	byName map[string]*Key
	sorted []*Key
}

// NewSet makes a set; of two keys with one name the later is in it.
func NewSet(keys ...*Key) *Set {
	byName := make(map[string]*Key, len(keys))
	for _, k := range keys {
		byName[k.Name()] = k
	}
	sorted := slices.SortedFunc(maps.Values(byName), func(a, b *Key) int { return strings.Compare(a.Name(), b.Name()) })
	return &Set{byName: byName, sorted: sorted}
}

// Lookup finds a key by name, nil where there is none.
func (s *Set) Lookup(name string) *Key { return s.byName[name] }

// All gives the keys in order of name; the slice is not to be changed.
func (s *Set) All() []*Key { return s.sorted }

// With is the set with k in it, in place of any other of its name.
func (s *Set) With(k *Key) *Set { return NewSet(append(slices.Clone(s.sorted), k)...) }

// Without is the set without the key of that name.
func (s *Set) Without(name string) *Set {
	return NewSet(slices.DeleteFunc(slices.Clone(s.sorted), func(k *Key) bool { return k.Name() == name })...)
}
