package chain

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"slices"
)

// none stands where there is no group.
const none = -1

// maxTries is how many keys of one name are tried on a signature.
const maxTries = 64

// graph says who has signed whom. Certificates of one subject and one public
// key form a group: whatever one of them has signed, all have, be they
// re-issued or cross-signed. A signature is made with one key, so that there is
// at most one group above a certificate, and the graph has no more edges than
// certificates however many of them are cross-signed.
type graph struct {
	set []Certificate
	// groups holds the members of each group, the best to go on with first.
	groups [][]int
	own    []int // the group that a certificate is in
	signer []int // the group whose key has signed it, or none
}

// Builder builds chains and remembers which signatures it has seen verify. It
// is not for several goroutines at a time. The zero Builder is ready.
type Builder struct {
	verified map[link]bool
}

// link is a certificate and the public key that may have signed it.
type link struct{ certificate, key [sha256.Size]byte }

// graph links the set, and forgets the links of certificates that are not in
// it any more.
func (b *Builder) graph(set []Certificate) *graph {
	g := &graph{set: set, own: make([]int, len(set)), signer: make([]int, len(set))}
	type identity struct {
		subject string
		key     [sha256.Size]byte
	}
	groupOf := map[identity]int{}
	bySubject := map[string][]int{} // groups
	var keys [][sha256.Size]byte    // of groups
	for i, c := range set {
		id := identity{string(c.RawSubject), sha256.Sum256(c.RawSubjectPublicKeyInfo)}
		n, known := groupOf[id]
		if !known {
			n = len(g.groups)
			groupOf[id] = n
			bySubject[id.subject] = append(bySubject[id.subject], n)
			g.groups, keys = append(g.groups, nil), append(keys, id.key)
		}
		g.groups[n], g.own[i] = append(g.groups[n], i), n
	}

	seen := map[link]bool{}
	for i, c := range set {
		g.signer[i] = none
		candidates := g.likeliest(bySubject[string(c.RawIssuer)], c.AuthorityKeyId)
		digest := sha256.Sum256(c.Raw)
		for _, n := range candidates[:min(len(candidates), maxTries)] {
			l := link{digest, keys[n]}
			holds, known := b.verified[l]
			if !known {
				holds = signed(set[g.groups[n][0]].Certificate, c.Certificate)
			}
			seen[l] = holds
			if holds {
				g.signer[i] = n
				break
			}
		}
	}
	b.verified = seen
	g.order()
	return g
}

func signed(parent, child *x509.Certificate) bool {
	return parent.CheckSignature(child.SignatureAlgorithm, child.RawTBSCertificate, child.Signature) == nil
}

// likeliest puts the groups first whose key identifier is the one looked for.
// The identifiers are hints (RFC 5280, section 4.2.1.1): the signature decides.
func (g *graph) likeliest(groups []int, keyID []byte) []int {
	if len(keyID) == 0 || len(groups) < 2 {
		return groups
	}
	var first, then []int
	for _, n := range groups {
		if slices.ContainsFunc(g.groups[n], func(i int) bool { return bytes.Equal(g.set[i].SubjectKeyId, keyID) }) {
			first = append(first, n)
		} else {
			then = append(then, n)
		}
	}
	return append(first, then...)
}

func (g *graph) selfSigned(i int) bool { return g.signer[i] == g.own[i] }

// order sorts each group: who has the shorter way to a self-signed root first,
// then who has it to the end of an incomplete chain, then who is valid longer.
func (g *graph) order() {
	far := 2*len(g.set) + 2
	distance := make([]int, len(g.set))
	for i := range g.set {
		switch {
		case g.selfSigned(i):
			distance[i] = 0
		case g.signer[i] == none:
			distance[i] = len(g.set) + 1 // beyond any way to a root
		default:
			distance[i] = far
		}
	}
	for changed := true; changed; {
		changed = false
		for i, n := range g.signer {
			if n == none || g.selfSigned(i) {
				continue
			}
			for _, m := range g.groups[n] {
				if d := distance[m] + 1; d < distance[i] {
					distance[i], changed = d, true
				}
			}
		}
	}
	for _, members := range g.groups {
		slices.SortStableFunc(members, func(x, y int) int {
			if d := distance[x] - distance[y]; d != 0 {
				return d
			}
			return g.set[y].NotAfter.Compare(g.set[x].NotAfter)
		})
	}
}

// above is the best of those that have signed i and are not taken, or -1.
func (g *graph) above(i int, taken []bool) int {
	if g.signer[i] == none {
		return -1
	}
	for _, m := range g.groups[g.signer[i]] {
		if !taken[m] {
			return m
		}
	}
	return -1
}
