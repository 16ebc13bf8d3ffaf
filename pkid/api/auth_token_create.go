package api

import (
	"fmt"
	"strings"

	"github.com/hsmpki/hsmpki/pkid/policy"
	"github.com/hsmpki/hsmpki/pkid/token"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

func createToken(h *Handler, r *request) (*answer, error) {
	wish, err := readWish(r.params)
	if err != nil {
		return nil, err
	}
	return h.create(r, wish, nil)
}

// createOrphan is for those who have sudo on this path, which is all that
// no_parent asks for.
func createOrphan(h *Handler, r *request) (*answer, error) {
	wish, err := readWish(r.params)
	if err != nil {
		return nil, err
	}
	wish.NoParent = true
	return h.create(r, wish, nil)
}

func createByRole(h *Handler, r *request) (*answer, error) {
	name := strings.ToLower(r.vars["role"])
	wish, err := readWish(r.params)
	if err != nil {
		return nil, err
	}
	role, err := h.Tokens.Role(r.ctx, name)
	if err != nil {
		return nil, err
	}
	if role == nil {
		return nil, vaultapi.BadRequest("unknown role %s", name)
	}
	return h.create(r, wish, role)
}

// create makes a token as far as its creator may.
func (h *Handler) create(r *request, wish *token.Wish, role *token.Role) (*answer, error) {
	sudo := func(path string) bool {
		return r.who.acl.Capable(policy.Request{Path: path, Operation: policy.Update, Sudo: true})
	}
	by := token.Creator{Token: r.who.token, Policies: r.who.policies, Sudo: sudo(r.path) && sudo(h.folded(r.path))}
	spec, err := wish.Spec(by, role)
	if err != nil {
		return nil, err
	}
	made, err := h.Tokens.Create(r.ctx, spec)
	if err != nil {
		return nil, tokenError(err)
	}
	for _, name := range made.Policies {
		if h.Policies.Read(name) == nil {
			made.Warnings = append(made.Warnings, fmt.Sprintf("Policy %q does not exist", name))
		}
	}
	return authAnswer(made), nil
}

func readWish(p *vaultapi.Params) (*token.Wish, error) {
	wish := &token.Wish{
		ID: p.String("id"), Policies: p.StringList("policies"), NoDefaultPolicy: p.Bool("no_default_policy", false), NoParent: p.Bool("no_parent", false),
		DisplayName: p.String("display_name"), TTL: p.Duration("ttl", p.Duration("lease", 0)), ExplicitMaxTTL: p.Duration("explicit_max_ttl", 0),
		Period: p.Duration("period", 0), NumUses: p.Int("num_uses", 0), Renewable: p.Bool("renewable", true),
	}
	if wish.DisplayName == "" {
		wish.DisplayName = "token"
	}
	for name, value := range p.Map("meta") {
		text, is := value.(string)
		if !is {
			p.Fail("meta", "%q is no text", name)
			break
		}
		if wish.Meta == nil {
			wish.Meta = map[string]string{}
		}
		wish.Meta[name] = text
	}
	switch kind := p.String("type"); kind {
	case "", "service", "default", "default-service":
	case "batch":
		return nil, vaultapi.BadRequest("type=batch: there are no batch tokens; a service token costs one write")
	default:
		return nil, vaultapi.BadRequest("invalid 'token_type' value %q", kind)
	}
	if p.String("entity_alias") != "" {
		return nil, vaultapi.BadRequest("entity_alias: there are no entities")
	}
	return wish, p.Err()
}
