package jwt

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hsmpki/hsmpki/pkid/auth/tokenparams"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// Role says which of the configuration's tokens count, and what they get:
// auth/<path>/role/<name>, as it is stored.
type Role struct {
	BoundAudiences       []string            `json:"bound_audiences,omitempty"`
	BoundSubject         string              `json:"bound_subject,omitempty"`
	BoundClaims          map[string][]string `json:"bound_claims,omitempty"`
	BoundClaimsType      string              `json:"bound_claims_type"` // matchString or matchGlob
	UserClaim            string              `json:"user_claim"`
	UserClaimJSONPointer bool                `json:"user_claim_json_pointer,omitempty"`
	ClaimMappings        map[string]string   `json:"claim_mappings,omitempty"` // from a claim to a name in the token's metadata

	// In seconds; 0 is the default of each and -1 is none.
	ExpirationLeeway int `json:"expiration_leeway,omitempty"`
	NotBeforeLeeway  int `json:"not_before_leeway,omitempty"`
	ClockSkewLeeway  int `json:"clock_skew_leeway,omitempty"`

	Token tokenparams.Params `json:"token"`
}

const (
	matchString = "string"
	matchGlob   = "glob"
)

// browserOnly are fields of roles of type oidc, which Terraform sends empty.
var browserOnly = []string{"allowed_redirect_uris", "oidc_scopes"}

// Apply overwrites the fields that are given, as Vault's write does, and checks
// the result.
func (r *Role) Apply(p *vaultapi.Params) error {
	if kind := p.String("role_type"); kind != "" && kind != "jwt" {
		return vaultapi.BadRequest("role_type=%q: logging in with a browser is not offered; roles are of type jwt", kind)
	}
	for _, name := range browserOnly {
		if len(p.StringList(name)) > 0 {
			return vaultapi.BadRequest("%s: logging in with a browser is not offered", name)
		}
	}
	if p.Duration("max_age", 0) != 0 {
		return vaultapi.BadRequest("max_age: logging in with a browser is not offered")
	}
	if p.Has("groups_claim") {
		return vaultapi.BadRequest("groups_claim: there are no identity groups here; bind a role to the groups by bound_claims and give it policies")
	}
	if p.Bool("verbose_oidc_logging", false) {
		return vaultapi.BadRequest("verbose_oidc_logging: claims are not logged")
	}
	if p.Present("bound_audiences") {
		r.BoundAudiences = p.StringList("bound_audiences")
	}
	if p.Present("bound_subject") {
		r.BoundSubject = p.String("bound_subject")
	}
	if p.Present("bound_claims") {
		r.BoundClaims = claimLists(p)
	}
	if p.Has("bound_claims_type") || r.BoundClaimsType == "" {
		r.BoundClaimsType = firstOf(p.String("bound_claims_type"), matchString)
	}
	if p.Has("user_claim") {
		r.UserClaim = p.String("user_claim")
	}
	r.UserClaimJSONPointer = p.Bool("user_claim_json_pointer", r.UserClaimJSONPointer)
	if p.Present("claim_mappings") {
		r.ClaimMappings = mappings(p)
	}
	leeway(p, "expiration_leeway", &r.ExpirationLeeway)
	leeway(p, "not_before_leeway", &r.NotBeforeLeeway)
	leeway(p, "clock_skew_leeway", &r.ClockSkewLeeway)
	if err := r.Token.Apply(p); err != nil {
		return err
	}
	return r.check()
}

func (r *Role) check() error {
	switch {
	case r.UserClaim == "":
		return vaultapi.BadRequest("a user claim must be defined on the role")
	case r.UserClaimJSONPointer && !strings.HasPrefix(r.UserClaim, "/"):
		return vaultapi.BadRequest("user_claim: a JSON pointer begins with /")
	case r.BoundClaimsType != matchString && r.BoundClaimsType != matchGlob:
		return vaultapi.BadRequest("invalid 'bound_claims_type': %s", r.BoundClaimsType)
	case len(r.BoundAudiences) == 0 && r.BoundSubject == "" && len(r.BoundClaims) == 0 && len(r.Token.BoundCIDRs) == 0:
		return vaultapi.BadRequest("must have at least one bound constraint when creating/updating a role")
	}
	var names []string
	for _, name := range r.ClaimMappings {
		if name == "role" {
			return vaultapi.BadRequest("metadata key %q is reserved and may not be a mapping destination", name)
		}
		if slices.Contains(names, name) {
			return vaultapi.BadRequest("multiple keys are mapped to metadata key %q", name)
		}
		names = append(names, name)
	}
	return nil
}

// Show is the answer to reading the role.
func (r *Role) Show() map[string]any {
	data := map[string]any{
		"role_type": "jwt", "bound_audiences": append([]string{}, r.BoundAudiences...), "bound_subject": r.BoundSubject,
		"bound_claims": r.BoundClaims, "bound_claims_type": r.BoundClaimsType, "user_claim": r.UserClaim,
		"user_claim_json_pointer": r.UserClaimJSONPointer, "claim_mappings": r.ClaimMappings, "groups_claim": "",
		"expiration_leeway": r.ExpirationLeeway, "not_before_leeway": r.NotBeforeLeeway, "clock_skew_leeway": r.ClockSkewLeeway,
		"allowed_redirect_uris": nil, "oidc_scopes": nil, "verbose_oidc_logging": false, "max_age": 0,
	}
	r.Token.Show(data)
	return data
}

// claimLists reads {"claim": "value"} and {"claim": ["one", "other"]}.
func claimLists(p *vaultapi.Params) map[string][]string {
	out := map[string][]string{}
	for claim, value := range p.Map("bound_claims") {
		list, isList := value.([]any)
		if !isList {
			list = []any{value}
		}
		for _, e := range list {
			text, ok := scalar(e)
			if !ok {
				p.Fail("bound_claims", "%q is neither a text, a number nor a boolean, nor a list of them", claim)
			}
			out[claim] = append(out[claim], text)
		}
		if len(out[claim]) == 0 {
			p.Fail("bound_claims", "%q has no value", claim)
		}
	}
	return out
}

func mappings(p *vaultapi.Params) map[string]string {
	out := map[string]string{}
	for claim, value := range p.Map("claim_mappings") {
		name, ok := value.(string)
		if !ok || name == "" {
			p.Fail("claim_mappings", "%q is not mapped to a text", claim)
		}
		out[claim] = name
	}
	return out
}

// leeway reads a time span of which -1 is none.
func leeway(p *vaultapi.Params, name string, field *int) {
	switch {
	case !p.Has(name):
	case p.String(name) == "-1":
		*field = -1
	default:
		*field = int(p.Duration(name, 0) / time.Second)
	}
}

// scalar gives the text of a JSON value that is neither list nor object.
func scalar(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case json.Number:
		return v.String(), true
	}
	return "", false
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
