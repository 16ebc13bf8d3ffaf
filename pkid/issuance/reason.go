package issuance

import (
	"strconv"
	"strings"
)

// The CRLReasons that have a meaning here: that others have the key, and two of
// revocations that are not for good.
const (
	KeyCompromise   = 1
	certificateHold = 6
	RemoveFromCRL   = 8
)

// reasons are the names of the CRLReasons (RFC 5280, section 5.3.1); 7 is not
// used.
var reasons = [...]string{
	"unspecified", "keyCompromise", "cACompromise", "affiliationChanged", "superseded", "cessationOfOperation",
	"certificateHold", "", "removeFromCRL", "privilegeWithdrawn", "aACompromise",
}

// ReasonName is the name of a CRLReason.
func ReasonName(reason int) string {
	if reason < 0 || reason >= len(reasons) || reasons[reason] == "" {
		return strconv.Itoa(reason)
	}
	return reasons[reason]
}

// ParseReason reads a CRLReason by name, of any case, or number. Those that
// would take a revocation back, or promise that it can be, are refused.
func ParseReason(text string) (int, error) {
	found := -1
	for reason, name := range reasons {
		if name != "" && (strings.EqualFold(text, name) || text == strconv.Itoa(reason)) {
			found = reason
		}
	}
	switch found {
	case -1:
		return 0, Refuse("reason: %q is none of RFC 5280: %s, or their numbers 0 to 6 and 8 to 10", text, strings.Join(usable(), ", "))
	case certificateHold, RemoveFromCRL:
		return 0, Refuse("reason: %s is refused: a revocation is for good here; %s can be had", reasons[found], strings.Join(usable(), ", "))
	}
	return found, nil
}

// usable are the names of the reasons that can be given.
func usable() []string {
	var names []string
	for reason, name := range reasons {
		if name != "" && reason != certificateHold && reason != RemoveFromCRL {
			names = append(names, name)
		}
	}
	return names
}
