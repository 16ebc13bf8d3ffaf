package config

import (
	"slices"
	"time"
)

// DefaultApprovalWait is how long a request waits for approval when the block
// does not say.
const DefaultApprovalWait = Duration(72 * time.Hour)

// Approver is one approver "name" block: a person who may approve signatures.
type Approver struct {
	// Name is the label; it is what logs and approvals show.
	Name string

	// Keys (keys) are the person's SSH public keys, as ssh-keygen writes them
	// to a .pub file: ssh-ed25519, ecdsa, RSA from 2048 bits on, and security
	// keys (sk-), before which verify-required may stand. Required.
	Keys []string

	Place Place
}

// Approval is an approval block of a managed key or of wire_keys: what the key
// signs only after people have approved exactly those bytes.
type Approval struct {
	// Quorum (quorum) is how many people have to approve. Required.
	Quorum int

	// Approvers (approvers) are names of approver blocks. Default: all.
	Approvers []string

	// Sign (sign) lists what has to be approved: csr, certificate, crl, ocsp.
	// Default: everything that the key signs.
	Sign []string

	// Expires (expires) is how long a request waits, and how long, once it is
	// approved, the same bytes may be signed. Default: 72h.
	Expires Duration

	Place Place
}

func readApprover(b *block) Approver {
	a := Approver{Name: b.labels[0]}
	b.list("keys", &a.Keys)
	a.Place = b.read()
	b.need("keys")
	return a
}

func readApproval(b *block) *Approval {
	a := &Approval{Expires: DefaultApprovalWait}
	b.whole("quorum", &a.Quorum, 1, 100)
	b.list("approvers", &a.Approvers)
	b.list("sign", &a.Sign)
	b.duration("expires", &a.Expires)
	a.Place = b.read()
	b.need("quorum")
	return a
}

// approvers checks the approver blocks and gives their names.
func (c checker) approvers(list []Approver) (names []string) {
	seen := make(map[string]Place)
	for _, a := range list {
		c.unique(seen, "", "approver", a.Name, a.Place)
		names = append(names, a.Name)
	}
	return names
}

func (c checker) approval(a *Approval, approvers []string) {
	if a == nil {
		return
	}
	c.eachOf(a.Place, "sign", a.Sign, "csr", "certificate", "crl", "ocsp")
	for _, name := range a.Approvers {
		if !slices.Contains(approvers, name) {
			c.faultf(a.Place, "approvers", "no approver block has the name %q", name)
		}
	}
	if len(a.Approvers) > 0 {
		approvers = a.Approvers
	}
	if a.Place.Has("quorum") && a.Quorum > len(approvers) {
		c.faultf(a.Place, "quorum", "quorum %d: there are %d approvers", a.Quorum, len(approvers))
	}
	if a.Expires <= 0 {
		c.faultf(a.Place, "expires", "expires must be longer than nothing")
	}
}
