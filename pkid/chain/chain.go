// Package chain finds the chain of each of a set of CA certificates among the
// others of the set, from the certificates alone: who has signed whom is told by
// names and signatures, never by what anybody says. It has no storage, no clock
// and no keys; the same certificates in the same order give the same chains.
//
// Start with [Builder.Build].
package chain

import (
	"crypto/x509"
	"slices"
)

// Certificate is one member of the set.
type Certificate struct {
	*x509.Certificate
	// Manual replaces the chain that would be found: indexes into the set, the
	// first its own. It is nil where nobody has chosen one. Whatever is below
	// such a certificate has its chain, too, from there on.
	Manual []int
}

// Chain is a certificate and those above it, as indexes into the set, each at
// most once.
//
// First comes one path: the certificate itself, then the one that signed it,
// and so on, if possible to a self-signed root, by the shortest way; of several
// alike the one that is valid longest, then the first of the set. After it
// follow the other certificates by which a relying party could come further:
// cross-signed and re-issued ones, the nearest first.
type Chain struct {
	Members []int
	// Path is how many of the first members form the path: of these each has
	// signed the one before. Of a manual chain it is as far as that holds.
	Path int
}

// Build gives the chain of each certificate. The cost is that of one check of a
// signature for each certificate that the last Build did not have, and, where
// key identifiers do not tell which of several keys of one name has signed it,
// of at most maxTries.
func (b *Builder) Build(set []Certificate) []Chain {
	g := b.graph(set)
	chains := make([]Chain, len(set))
	for i := range set {
		chains[i] = g.chain(i)
	}
	return chains
}

func (g *graph) chain(i int) Chain {
	c := collected{in: make([]bool, len(g.set))}
	if manual := g.set[i].Manual; manual != nil {
		c.add(manual...)
		return Chain{c.list, g.linked(c.list)}
	}
	// The path.
	at := i
	for {
		c.add(at)
		above := g.above(at, c.in)
		if g.selfSigned(at) || above == -1 {
			break
		}
		at = above
		if manual := g.set[at].Manual; manual != nil {
			c.add(manual...)
			break
		}
	}
	path := g.linked(c.list)

	// What else is above: c.list is its own queue.
	for n := 0; n < len(c.list); n++ {
		m := c.list[n]
		if manual := g.set[m].Manual; manual != nil {
			c.add(manual...)
			continue
		}
		if g.signer[m] != none {
			c.add(g.groups[g.signer[m]]...)
		}
	}
	return Chain{c.list, path}
}

// linked counts the first members of which each has signed the one before.
func (g *graph) linked(members []int) int {
	for n := 1; n < len(members); n++ {
		if g.signer[members[n-1]] == none || !slices.Contains(g.groups[g.signer[members[n-1]]], members[n]) {
			return n
		}
	}
	return len(members)
}

// collected is a list in which each index is once.
type collected struct {
	list []int
	in   []bool
}

func (c *collected) add(indexes ...int) {
	for _, i := range indexes {
		if !c.in[i] {
			c.in[i] = true
			c.list = append(c.list, i)
		}
	}
}
