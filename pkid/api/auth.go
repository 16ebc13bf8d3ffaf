package api

import (
	"time"

	"github.com/hsmpki/hsmpki/pkid/token"
)

// authBlock is what Vault calls auth in an answer: a token that was made,
// by a login or another token, or renewed.
type authBlock struct {
	ClientToken    string            `json:"client_token"`
	Accessor       string            `json:"accessor"`
	Policies       []string          `json:"policies"`
	TokenPolicies  []string          `json:"token_policies"`
	Metadata       map[string]string `json:"metadata"`
	LeaseDuration  int64             `json:"lease_duration"`
	Renewable      bool              `json:"renewable"`
	EntityID       string            `json:"entity_id"`
	TokenType      string            `json:"token_type"`
	Orphan         bool              `json:"orphan"`
	MFARequirement any               `json:"mfa_requirement"`
	NumUses        int               `json:"num_uses"`
}

// authAnswer gives a token to whoever logged in, made it or renewed it.
func authAnswer(t *token.Token) *answer {
	return &answer{warnings: t.Warnings, auth: &authBlock{
		ClientToken: t.ID, Accessor: t.Accessor, Policies: t.Policies, TokenPolicies: t.Policies, Metadata: t.Meta,
		LeaseDuration: int64(t.Granted() / time.Second), Renewable: t.Renewable, TokenType: "service", Orphan: t.Orphan(), NumUses: max(0, t.NumUses),
	}}
}
