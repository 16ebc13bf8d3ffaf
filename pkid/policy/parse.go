package policy

import (
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/hcl"
	"github.com/hashicorp/hcl/hcl/ast"
	"github.com/hashicorp/hcl/hcl/parser"
	"github.com/hashicorp/hcl/hcl/token"

	"github.com/hsmpki/hsmpki/pkid/identity"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// maxText bounds a policy's text, in octets.
const maxText = 128 << 10

// Parse reads a policy in HCL or JSON. What is wrong is told with its line; of
// JSON the parser keeps lines only for what is no JSON, so that the path must
// do for the rest.
func Parse(name, text string) (policy *Policy, err error) {
	if len(text) > maxText {
		return nil, fmt.Errorf("the policy is longer than %d octets", maxText)
	}
	// The parser's tokens panic when asked for the value of what its scanner
	// should not have let through, such as a number of more than 64 bits.
	defer func() {
		if fault := recover(); fault != nil {
			policy, err = nil, fmt.Errorf("the policy does not parse: %v", fault)
		}
	}()
	if err := checkShape(text); err != nil {
		return nil, err
	}
	file, err := hcl.Parse(text)
	if err != nil {
		return nil, syntaxError(err)
	}
	list, is := file.Node.(*ast.ObjectList)
	if !is {
		return nil, errors.New("the policy is not a list of path blocks")
	}
	policy = &Policy{Name: name, Text: text}
	for _, item := range list.Items {
		if err := policy.parseItem(item); err != nil {
			return nil, err
		}
	}
	return policy, nil
}

// parseItem reads one of the things at the top.
func (p *Policy) parseItem(item *ast.ObjectItem) error {
	switch key := keyOf(item); key {
	case "name":
		own, err := stringOf(item.Val)
		if err == nil && own != p.Name {
			err = at(item.Val, "the policy calls itself %q, but is written as %q", own, p.Name)
		}
		return err
	case "path":
		return p.parsePaths(item)
	default:
		return at(item, "%q: a policy consists of path blocks", key)
	}
}

// parsePaths reads one path block of HCL, or of JSON an object with paths as
// names.
func (p *Policy) parsePaths(item *ast.ObjectItem) error {
	object, is := item.Val.(*ast.ObjectType)
	switch {
	case !is:
		return at(item, "a path block is missing its braces")
	case len(item.Keys) == 2:
		r, err := parseRule(item.Keys[1].Token.Value().(string), item, object.List)
		if err != nil {
			return err
		}
		p.rules = append(p.rules, r)
		return nil
	case len(item.Keys) > 2:
		return at(item, "a path block has one path, not %d", len(item.Keys)-1)
	case item.Assign.IsValid():
		return at(item, `write path "…" { … }, without "="`)
	case len(object.List.Items) > 0 && object.List.Items[0].Keys[0].Token.JSON:
		for _, inner := range object.List.Items {
			inner.Keys = append(item.Keys[:1:1], inner.Keys...)
			if err := p.parsePaths(inner); err != nil {
				return err
			}
		}
		return nil
	}
	return at(item, "a path block has no path")
}

func parseRule(path string, where *ast.ObjectItem, body *ast.ObjectList) (rule, error) {
	r, err := readRule(path, where, body)
	if err != nil {
		return rule{}, fmt.Errorf("path %q: %w", path, err)
	}
	return r, nil
}

func readRule(path string, where *ast.ObjectItem, body *ast.ObjectList) (r rule, err error) {
	if r.pattern, err = newPattern(path); err != nil {
		return r, at(where, "%w", err)
	}
	if r.template, err = identity.ParseTemplate(path); err != nil {
		return r, at(where, "%w", err)
	}
	seen := map[string]bool{}
	for _, item := range body.Items {
		key := keyOf(item)
		if seen[key] {
			return r, at(item, "%s is there twice", key)
		}
		seen[key] = true
		if err := r.set(key, item); err != nil {
			return r, err
		}
	}
	if r.limits.maxWrapTTL != 0 && r.limits.maxWrapTTL < r.limits.minWrapTTL {
		return r, at(where, "max_wrapping_ttl is less than min_wrapping_ttl")
	}
	return r, nil
}

// set reads one attribute of a path block.
func (r *rule) set(key string, item *ast.ObjectItem) (err error) {
	if len(item.Keys) > 1 {
		return at(item, "%s is not a block with a label", key)
	}
	l := &r.limits
	switch key {
	case "capabilities":
		err = r.setCapabilities(item.Val)
	case "policy":
		err = r.setShorthand(item.Val)
	case "allowed_parameters":
		l.allowed, err = parametersOf(item.Val)
	case "denied_parameters":
		l.denied, err = parametersOf(item.Val)
	case "required_parameters":
		l.required, err = stringsOf(item.Val)
		for i, name := range l.required {
			l.required[i] = strings.ToLower(name)
		}
	case "min_wrapping_ttl", "max_wrapping_ttl":
		var text any
		if text, err = scalarOf(item.Val); err != nil {
			break
		}
		ttl, bad := vaultapi.ParseDuration(fmt.Sprint(text))
		if bad != nil {
			return at(item.Val, "%s: %w", key, bad)
		}
		if key == "min_wrapping_ttl" {
			l.minWrapTTL = ttl
		} else {
			l.maxWrapTTL = ttl
		}
	case "mfa_methods", "control_group", "subscribe_event_types":
		return at(item, "%s is not supported", key)
	default:
		return at(item, "%q: no such attribute of a path", key)
	}
	return err
}

func (r *rule) setCapabilities(val ast.Node) error {
	names, err := stringsOf(val)
	if err != nil {
		return err
	}
	for _, name := range names {
		capability, known := capabilityNames[name]
		if !known {
			return at(val, "%q: no such capability", name)
		}
		r.capabilities |= capability
	}
	return nil
}

func (r *rule) setShorthand(val ast.Node) error {
	name, err := stringOf(val)
	if err != nil {
		return err
	}
	capabilities, known := shorthands[name]
	if !known {
		return at(val, `policy = %q: it is "deny", "read", "write" or "sudo"`, name)
	}
	r.capabilities |= capabilities
	return nil
}

// syntaxError puts the line first, as all errors of this package have it.
func syntaxError(err error) error {
	if e, is := errors.AsType[*parser.PosError](err); is {
		return fmt.Errorf("line %d: %w", e.Pos.Line, e.Err)
	}
	return err
}

// at is an error with the line of a node, where the parser has kept it.
func at(node ast.Node, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	if pos := node.Pos(); pos != (token.Pos{}) && pos.Line > 0 {
		return fmt.Errorf("line %d: %w", pos.Line, err)
	}
	return err
}
