package role

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/hsmpki/hsmpki/pkid/issuance"
)

// policyEntry is a policy identifier with qualifiers, as it is written in a
// role and read back.
type policyEntry struct {
	OID    string `json:"oid"`
	CPS    string `json:"cps,omitempty"`
	Notice string `json:"notice,omitempty"`
}

// splitPolicies returns the entries of policy_identifiers when the whole value
// is one JSON array of objects, each in its normal form; false if it is not.
func splitPolicies(text string) ([]string, bool) {
	if !strings.HasPrefix(strings.TrimSpace(text), "[") {
		return nil, false
	}
	var entries []policyEntry
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&entries); err != nil || d.More() {
		return nil, false
	}
	texts := make([]string, len(entries))
	for i, e := range entries {
		texts[i] = e.String()
	}
	return texts, true
}

// String is the entry as JSON, in one normal form.
func (e policyEntry) String() string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // a CPS is a URL; & stays &
	if err := enc.Encode(e); err != nil {
		return "" // strings always encode
	}
	return strings.TrimSpace(b.String())
}

// parsePolicies reads policy identifiers: dotted OIDs or JSON objects. The
// error is a *Refusal.
func parsePolicies(texts []string) ([]issuance.Policy, error) {
	var policies []issuance.Policy
	for _, text := range texts {
		p, err := parsePolicy(text)
		if err != nil {
			return nil, refuse("policy identifier %q is neither a valid OID: %s", text, err)
		}
		if slices.ContainsFunc(policies, func(q issuance.Policy) bool { return q.ID.Equal(p.ID) }) {
			return nil, refuse("policy_identifiers: %s is listed twice", p.ID)
		}
		policies = append(policies, p)
	}
	return policies, nil
}

func parsePolicy(text string) (issuance.Policy, error) {
	oid, notOID := ParseOID(text)
	if notOID == nil {
		return issuance.Policy{ID: oid}, nil
	}
	var e policyEntry
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		return issuance.Policy{}, fmt.Errorf("%w, Nor JSON Policy Identifier: %w", notOID, err)
	}
	oid, err := ParseOID(e.OID)
	if err != nil {
		return issuance.Policy{}, fmt.Errorf("%w, Nor JSON Policy Identifier: %w", notOID, err)
	}
	p := issuance.Policy{ID: oid, CPS: e.CPS, Notice: e.Notice}
	if err := p.Check(); err != nil {
		return issuance.Policy{}, fmt.Errorf("%w, Nor JSON Policy Identifier: %w", notOID, err)
	}
	return p, nil
}
