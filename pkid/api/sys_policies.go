package api

import (
	"encoding/base64"
	"errors"

	"github.com/hsmpki/hsmpki/pkid/policy"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// listPolicies answers sys/policies/acl, and sys/policy with the older names
// beside.
func listPolicies(h *Handler, r *request) (*answer, error) {
	names := h.Policies.Names()
	if r.path == "sys/policy" {
		return &answer{data: map[string]any{"keys": names, "policies": names}, topLevel: true}, nil
	}
	return &answer{data: map[string]any{"keys": names}}, nil
}

func readPolicy(h *Handler, r *request) (*answer, error) {
	p := h.Policies.Read(r.vars["name"])
	if p == nil {
		return nil, vaultapi.NotFound()
	}
	if r.path == "sys/policy/"+r.vars["name"] {
		return &answer{data: map[string]any{"name": p.Name, "rules": p.Text}, topLevel: true}, nil
	}
	return &answer{data: map[string]any{"name": p.Name, "policy": p.Text}}, nil
}

// writePolicy takes the text plain or in base64; "rules" is the older name.
func writePolicy(h *Handler, r *request) (*answer, error) {
	text := r.params.String("policy")
	if text == "" {
		text = r.params.String("rules")
	}
	if err := r.params.Err(); err != nil {
		return nil, err
	}
	if text == "" {
		return nil, vaultapi.BadRequest("'policy' parameter not supplied or empty")
	}
	if plain, err := base64.StdEncoding.DecodeString(text); err == nil {
		text = string(plain)
	}
	return nil, policyError(h.Policies.Write(r.ctx, r.vars["name"], text))
}

func deletePolicy(h *Handler, r *request) (*answer, error) {
	return nil, policyError(h.Policies.Delete(r.ctx, r.vars["name"]))
}

// policyError makes a user's mistake one; what the store says stays a fault.
func policyError(err error) error {
	if errors.Is(err, policy.ErrFixed) || errors.Is(err, policy.ErrText) {
		return vaultapi.BadRequest("%v", err)
	}
	return err
}
