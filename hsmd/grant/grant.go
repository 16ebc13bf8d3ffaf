// Package grant decides what a peer of hsmd may ask, from the peer's user and
// groups and the client blocks of the configuration. It does no I/O once a
// [Table] is made, and knows neither keys nor tokens. Its test is the truth
// table of the rules.
//
// Without any client block, root and hsmd's own user may ask everything. With
// one or more, a peer has the union of the blocks that match it; root without a
// matching block may describe, ask the status, test, audit and approve. Nobody
// else is let in.
package grant

import (
	"slices"
	"strings"

	"github.com/hsmpki/hsmpki/wire/unixsock"
)

// Operation is something that a grant may hold. Describe and Status go with
// every grant.
type Operation string

// The operations.
const (
	Describe  Operation = "describe"
	Status    Operation = "status"
	Sign      Operation = "sign"
	Generate  Operation = "generate"
	Test      Operation = "test"
	Configure Operation = "configure"
	Audit     Operation = "audit"
	Approve   Operation = "approve"
)

// Grant is what one peer may ask. The zero Grant allows nothing.
type Grant struct {
	// Names are those of the client blocks that matched, for the log.
	Names []string
	// UID is the peer's user.
	UID uint32

	parts []part
}

// part is what one block gives: its operations on its keys. Two blocks do not
// mix: signing with key a and testing key b is not signing with b.
type part struct {
	operations []Operation
	keys       []string // names, or "*" for all
}

// Allows reports whether the operation may be asked of the named key.
func (g *Grant) Allows(op Operation, key string) bool {
	for i := range g.parts {
		if g.parts[i].has(op) && g.parts[i].names(key) {
			return true
		}
	}
	return false
}

// Has reports whether the operation may be asked of any key, or without one.
func (g *Grant) Has(op Operation) bool {
	return slices.ContainsFunc(g.parts, func(p part) bool { return p.has(op) })
}

func (p *part) has(op Operation) bool {
	return op == Describe || op == Status || slices.Contains(p.operations, op)
}

func (p *part) names(key string) bool {
	return slices.Contains(p.keys, "*") || slices.Contains(p.keys, key)
}

// String lists what is granted, for logs and hsmd check.
func (g *Grant) String() string {
	lines := make([]string, len(g.parts))
	for i, p := range g.parts {
		operations := []string{string(Describe), string(Status)}
		for _, op := range p.operations {
			operations = append(operations, string(op))
		}
		keys := strings.Join(p.keys, ", ")
		switch {
		case slices.Contains(p.keys, "*"):
			keys = "all keys"
		case len(p.keys) == 0:
			keys = "no key"
		}
		lines[i] = strings.Join(operations, ", ") + " on " + keys
	}
	return strings.Join(lines, "; ")
}

// Table holds the client blocks.
type Table struct {
	own    uint32 // hsmd's own user
	blocks []block
}

type block struct {
	name  string
	user  *uint32
	group *uint32
	part  part
}

var everything = part{operations: []Operation{Sign, Generate, Test, Configure, Audit, Approve}, keys: []string{"*"}}
var rootAlways = part{operations: []Operation{Test, Audit, Approve}, keys: []string{"*"}}

// Grant finds what a peer may ask; ok is false where that is nothing, and the
// peer is not to be spoken to.
func (t *Table) Grant(peer unixsock.Peer) (g Grant, ok bool) {
	g.UID = peer.UID
	if len(t.blocks) == 0 {
		if peer.UID != 0 && peer.UID != t.own {
			return Grant{}, false
		}
		g.parts = []part{everything}
		return g, true
	}
	for i := range t.blocks {
		if b := &t.blocks[i]; b.matches(peer) {
			g.Names = append(g.Names, b.name)
			g.parts = append(g.parts, b.part)
		}
	}
	if len(g.parts) == 0 && peer.UID == 0 {
		g.parts = []part{rootAlways}
	}
	return g, len(g.parts) > 0
}

func (b *block) matches(peer unixsock.Peer) bool {
	if b.user != nil && *b.user != peer.UID {
		return false
	}
	if b.group != nil && *b.group != peer.GID && !slices.Contains(peer.Groups, *b.group) {
		return false
	}
	return b.user != nil || b.group != nil
}

// RootAlways says what root may ask where no client block matches it.
func RootAlways() string { return (&Grant{parts: []part{rootAlways}}).String() }
