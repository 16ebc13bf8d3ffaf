package policy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/hsmpki/hsmpki/pkid/identity"
	"github.com/hsmpki/hsmpki/pkid/store"
)

// Default is the policy of what everybody may do about himself. It can be
// written, not deleted.
const Default = "default"

const defaultText = `path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self" { capabilities = ["update"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
path "sys/capabilities-self" { capabilities = ["update"] }
path "sys/internal/ui/resultant-acl" { capabilities = ["read"] }
path "sys/wrapping/wrap" { capabilities = ["update"] }
path "sys/wrapping/lookup" { capabilities = ["update"] }
path "sys/wrapping/unwrap" { capabilities = ["update"] }
`

// ErrText is that a text is no policy.
var ErrText = errors.New("failed to parse policy")

// ErrFixed is that root cannot be written, and neither root nor default deleted.
var ErrFixed = errors.New("it is part of pkid")

// Table has the policies by name, in memory as they are in the store. It is safe
// for concurrent use.
type Table struct {
	store    store.Store
	changing sync.Mutex // held over each change, so that two are in the same order in both places

	mu       sync.RWMutex // never held while the store works: every request looks here
	policies map[string]*Policy
	acls     map[string]*ACL // by the names, one a line, and by the alias where it counts; emptied by each change
}

// Open reads all policies.
func Open(ctx context.Context, s store.Store) (*Table, error) {
	fallback, err := Parse(Default, defaultText)
	if err != nil {
		return nil, err
	}
	t := &Table{store: s, acls: map[string]*ACL{}, policies: map[string]*Policy{Root: {Name: Root}, Default: fallback}}
	start, end := store.Policies()
	err = s.View(ctx, func(r store.Reader) error {
		return r.Scan(start, end, func(key, text []byte) error {
			name := string(key[len(start):])
			p, err := Parse(name, string(text))
			if err != nil {
				return fmt.Errorf("policy %q in the store: %w", name, err)
			}
			t.policies[name] = p
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return t, nil
}

// Names lists the policies in order.
func (t *Table) Names() []string {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return slices.Sorted(maps.Keys(t.policies))
}

// Read gives a policy, nil if there is none.
func (t *Table) Read(name string) *Policy {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.policies[strings.ToLower(name)]
}

// Write makes a policy or replaces it, and leaves all as it was where the text
// is none.
func (t *Table) Write(ctx context.Context, name, text string) error {
	name = strings.ToLower(name)
	if name == Root {
		return fmt.Errorf("policy %q: %w", name, ErrFixed)
	}
	p, err := Parse(name, text)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrText, err)
	}
	return t.change(ctx, func(tx store.Tx) error { return tx.Put(store.Policy(name), []byte(text)) }, func() { t.policies[name] = p })
}

// Delete forgets a policy, if there is one. Who has it loses what it gave.
func (t *Table) Delete(ctx context.Context, name string) error {
	name = strings.ToLower(name)
	if name == Root || name == Default {
		return fmt.Errorf("policy %q: %w", name, ErrFixed)
	}
	return t.change(ctx, func(tx store.Tx) error { return tx.Delete(store.Policy(name)) }, func() { delete(t.policies, name) })
}

// change makes a change durable before anybody is judged by it.
func (t *Table) change(ctx context.Context, durably func(store.Tx) error, here func()) error {
	t.changing.Lock()
	defer t.changing.Unlock()
	if err := t.store.Update(ctx, durably); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	here()
	clear(t.acls)
	return nil
}

// maxACLs bounds the merged policies that are held: tokens may have any
// combination of policies.
const maxACLs = 1000

// ACL merges the policies of these names for whoever has an alias, nil being
// somebody who has not logged in. A name of which there is no policy gives
// nothing, and names are in small letters.
func (t *Table) ACL(names []string, alias *identity.Alias) *ACL {
	if slices.ContainsFunc(names, func(name string) bool { return strings.ContainsAny(name, "\n\x00") }) {
		names = nil // no policy has such a name, and joined it would read as two
	}
	key := strings.Join(names, "\n")
	t.mu.RLock()
	acl, held := t.acls[key]
	if held && acl == nil {
		key += "\x00" + alias.String()
		acl = t.acls[key]
	}
	t.mu.RUnlock()
	if acl != nil {
		return acl
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.merge(names, alias)
}

// merge makes an ACL and keeps it. Where it is one alias's only, the names alone
// lead to nil.
func (t *Table) merge(names []string, alias *identity.Alias) *ACL {
	var policies []*Policy
	varies := false
	for _, name := range names {
		if p := t.policies[name]; p != nil {
			policies = append(policies, p)
			varies = varies || p.templated()
		}
	}
	if len(t.acls) >= maxACLs {
		clear(t.acls)
	}
	key := strings.Join(names, "\n")
	if varies {
		t.acls[key] = nil
		key += "\x00" + alias.String()
	}
	acl := Merge(alias, policies...)
	t.acls[key] = acl
	return acl
}
