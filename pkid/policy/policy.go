// Package policy is Vault's policy language: which paths a caller may use, how,
// and with which parameters. It decides and says why a text is no policy; who
// has which policies is not its business.
//
// Start at [Parse], which makes a [Policy] of a text, and at [New], which makes
// of several policies the one [ACL] that is asked. testdata reads as the
// specification.
package policy

import (
	"slices"
	"time"

	"github.com/hsmpki/hsmpki/pkid/identity"
)

// Root is the policy that may do everything. It has no text.
const Root = "root"

// Policy is a text that was parsed.
type Policy struct {
	Name  string
	Text  string
	rules []rule
}

// rule is one path block.
type rule struct {
	pattern      pattern
	template     identity.Template // nil: the pattern is the same for all; else For makes it
	capabilities Capability
	limits       limits
}

// limits narrow what a capability lets through.
type limits struct {
	required        []string // names in small letters
	allowed, denied parameters

	// An answer that is not wrapped has the TTL 0, and a rule with either of
	// these, where they are not 0, lets only wrapped ones through.
	minWrapTTL, maxWrapTTL time.Duration
}

// Capability is a set of what can be done with a path.
type Capability uint16

// The capabilities. Deny outranks all others.
const (
	Deny Capability = 1 << iota
	Create
	Read
	Update
	Delete
	List
	Patch
	Sudo
	Subscribe
	Recover
)

var capabilityNames = map[string]Capability{
	"deny": Deny, "create": Create, "read": Read, "update": Update, "delete": Delete, "list": List,
	"patch": Patch, "sudo": Sudo, "subscribe": Subscribe, "recover": Recover,
}

// shorthands are the values of the policy attribute, from before there were
// capabilities.
var shorthands = map[string]Capability{
	"deny":  Deny,
	"read":  Read | List,
	"write": Create | Read | Update | Delete | List,
	"sudo":  Create | Read | Update | Delete | List | Sudo,
}

// has reports whether one of the wanted is in the set, and Deny is not.
func (c Capability) has(wanted Capability) bool { return c&Deny == 0 && c&wanted != 0 }

// some reports whether there is anything in the set, and no Deny.
func (c Capability) some() bool { return c != 0 && c&Deny == 0 }

// names lists the set as sys/capabilities does.
func (c Capability) names() []string {
	if !c.some() {
		return []string{"deny"}
	}
	var names []string
	for name, capability := range capabilityNames {
		if c&capability != 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
