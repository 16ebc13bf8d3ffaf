package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hsmpki/hsmpki/config"
	"github.com/hsmpki/hsmpki/hsmd/approval"
	"github.com/hsmpki/hsmpki/hsmd/server"
)

// approvalOf reads the approver and approval blocks. Its error joins all faults.
func approvalOf(cfg *config.HSMD) (*server.Approval, error) {
	var faults []error
	people := map[string]*approval.Approver{}
	for _, a := range cfg.Approvers {
		person, err := approval.NewApprover(a.Name, a.Keys)
		if err != nil {
			faults = append(faults, a.Place.Errorf("keys", "%v", err))
			continue
		}
		people[a.Name] = person
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	rule := func(c *config.Approval) *approval.Rule {
		if c == nil {
			return nil
		}
		r := approval.Rule{Quorum: c.Quorum, Kinds: c.Sign, Wait: c.Expires.Std()}
		for _, a := range cfg.Approvers {
			if len(c.Approvers) == 0 || slices.Contains(c.Approvers, a.Name) {
				r.Approvers = append(r.Approvers, people[a.Name])
			}
		}
		made, err := approval.NewRule(r)
		if err != nil {
			faults = append(faults, c.Place.Errorf("", "approval: %v", err))
		}
		return made
	}
	out := &server.Approval{Keys: map[string]*approval.Rule{}}
	for _, k := range cfg.ManagedKeys {
		if r := rule(k.Approval); r != nil {
			out.Keys[k.Name] = r
		}
	}
	if cfg.WireKeys != nil {
		out.Wire = rule(cfg.WireKeys.Approval)
	}
	return out, errors.Join(faults...)
}

// approvalRules say what has to be approved, and by whom.
func approvalRules(cfg *config.HSMD) (all []config.Rule) {
	for _, a := range cfg.Approvers {
		all = append(all, config.Rule{Subject: fmt.Sprintf("approver %q", a.Name), Text: "approves with " + strings.Join(a.Keys, ", ")})
	}
	for _, k := range cfg.ManagedKeys {
		if k.Approval != nil {
			all = append(all, config.Rule{Subject: fmt.Sprintf("approval of managed_key %q", k.Name), Text: describeApproval(k.Approval)})
		}
	}
	if w := cfg.WireKeys; w != nil && w.Approval != nil {
		all = append(all, config.Rule{Subject: "approval of keys of wire_keys", Text: describeApproval(w.Approval)})
	}
	return all
}

// describeApproval says what has to be approved, for the log and hsmd check.
func describeApproval(c *config.Approval) string {
	kinds, people := "everything", "all approvers"
	if len(c.Sign) > 0 {
		kinds = strings.Join(c.Sign, ", ")
	}
	if len(c.Approvers) > 0 {
		people = strings.Join(c.Approvers, ", ")
	}
	return kinds + " is signed only when " + strconv.Itoa(c.Quorum) + " of " + people + " approved it"
}
