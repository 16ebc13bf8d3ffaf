package jwt_test

import (
	"maps"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/pkid/auth/jwt"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

func role(t *testing.T, fields string) *jwt.Role {
	t.Helper()
	r := &jwt.Role{}
	if err := apply(t, r, fields); err != nil {
		t.Fatal(err)
	}
	return r
}

func apply(t *testing.T, r *jwt.Role, fields string) error {
	t.Helper()
	p, err := vaultapi.ParseJSON([]byte(fields))
	if err != nil {
		t.Fatal(err)
	}
	return r.Apply(p)
}

// claimsOf goes the whole way: a token is signed and verified.
func claimsOf(t *testing.T, text string) jwt.Claims {
	t.Helper()
	v := verifier(t, configure(t, map[string]any{"jwks": keySet(t, edSigner)}), standing)
	claims, err := v.Verify(t.Context(), edSigner.sign(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return claims
}

// at writes the time that is so many seconds from now.
func at(seconds int) string { return strconv.FormatInt(now.Unix()+int64(seconds), 10) }

func TestAdmit(t *testing.T) {
	const plain = `{"user_claim":"sub","bound_audiences":"pkid"}`
	exp := `"exp":` + at(600)
	good := exp + `,"aud":"pkid","sub":"build"`
	for _, c := range []struct{ name, role, claims, refusal string }{
		{"", plain, good, ""},
		{"one audience of several", `{"user_claim":"sub","bound_audiences":["a","pkid"]}`, exp + `,"aud":["x","pkid"],"sub":"build"`, ""},
		{"wrong audience", plain, exp + `,"aud":"vault","sub":"build"`, "aud claim does not match"},
		{"wrong audiences", plain, exp + `,"aud":["vault","pki"],"sub":"build"`, "aud claim does not match"},
		{"no audience", plain, exp + `,"sub":"build"`, "aud claim does not match"},
		{"empty list of audiences", plain, exp + `,"aud":[],"sub":"build"`, "aud claim does not match"},
		{"audience in an object", plain, exp + `,"aud":{"pkid":"pkid"},"sub":"build"`, "aud claim does not match"},
		{"audience, and none bound", `{"user_claim":"sub","bound_subject":"build"}`, good, "no audiences bound"},
		{"no audience, and none bound", `{"user_claim":"sub","bound_subject":"build"}`, exp + `,"sub":"build"`, ""},
		{"another subject", `{"user_claim":"sub","bound_subject":"build"}`, exp + `,"sub":"Build"`, "bound subject"},
		{"subject in a list", `{"user_claim":"sub","bound_subject":"build"}`, exp + `,"sub":["build"]`, "bound subject"},

		{"expired", plain, `"exp":` + at(-61) + `,"aud":"pkid","sub":"build"`, "has expired"},
		{"expired within the skew", plain, `"exp":` + at(-59) + `,"aud":"pkid","sub":"build"`, ""},
		{"expired without skew", `{"user_claim":"sub","bound_audiences":"pkid","clock_skew_leeway":-1}`, `"exp":` + at(0) + `,"aud":"pkid","sub":"build"`, "has expired"},
		{"not before, to come", plain, good + `,"nbf":` + at(61), "does not count yet"},
		{"not before, within the skew", plain, good + `,"nbf":` + at(59), ""},
		{"issued in the future", plain, good + `,"iat":` + at(61), "iat is in the future"},
		{"issued in the future, not before in the past", plain, good + `,"nbf":` + at(-5) + `,"iat":` + at(61), "iat is in the future"},
		{"no exp", plain, `"iat":` + at(-5) + `,"aud":"pkid","sub":"build"`, "no exp"},
		{"no times", plain, `"aud":"pkid","sub":"build"`, "no exp"},
		{"no exp, and the role says how long", `{"user_claim":"sub","bound_audiences":"pkid","expiration_leeway":"30s","clock_skew_leeway":-1}`,
			`"iat":` + at(-29) + `,"aud":"pkid","sub":"build"`, ""},
		{"no exp, and too old for the role", `{"user_claim":"sub","bound_audiences":"pkid","expiration_leeway":"30s","clock_skew_leeway":-1}`,
			`"iat":` + at(-31) + `,"aud":"pkid","sub":"build"`, "has expired"},
		{"no times, and the role says how long", `{"user_claim":"sub","bound_audiences":"pkid","expiration_leeway":"30s"}`, `"aud":"pkid","sub":"build"`, "no exp"},
		{"only exp, far away", plain, `"exp":` + at(211) + `,"aud":"pkid","sub":"build","iat":null`, "does not count yet"},
		{"only exp, near", plain, `"exp":` + at(209) + `,"aud":"pkid","sub":"build","iat":null`, ""},
		{"only exp, far away but a longer leeway", `{"user_claim":"sub","bound_audiences":"pkid","not_before_leeway":600}`,
			`"exp":` + at(650) + `,"aud":"pkid","sub":"build","iat":null`, ""},
		{"exp as a text", plain, `"exp":"` + at(600) + `","aud":"pkid","sub":"build"`, "exp: it is no number"},
		{"exp without end", plain, `"exp":1e300,"aud":"pkid","sub":"build"`, "exp: it is no time"},
		{"exp that is no number of Go's", plain, `"exp":1e999,"aud":"pkid","sub":"build"`, "exp: it is no time"},
		{"exp before all time", plain, `"exp":-1,"aud":"pkid","sub":"build"`, "exp: it is no time"},
		{"exp of zero", plain, `"exp":0,"aud":"pkid","sub":"build"`, "exp: it is no time"},
		{"exp with a fraction", plain, `"exp":` + at(600) + `.25,"aud":"pkid","sub":"build"`, ""},

		{"a bound claim", `{"user_claim":"sub","bound_audiences":"pkid","bound_claims":{"ref":"main"}}`, good + `,"ref":"main"`, ""},
		{"a bound claim is missing", `{"user_claim":"sub","bound_audiences":"pkid","bound_claims":{"ref":"main"}}`, good, `"ref" is missing`},
		{"a bound claim is null", `{"user_claim":"sub","bound_audiences":"pkid","bound_claims":{"ref":"main"}}`, good + `,"ref":null`, `"ref" is missing`},
		{"another value", `{"user_claim":"sub","bound_audiences":"pkid","bound_claims":{"ref":"main"}}`, good + `,"ref":"main2"`, "does not match"},
		{"one of several values", `{"user_claim":"sub","bound_audiences":"pkid","bound_claims":{"ref":["a","main"]}}`, good + `,"ref":["x","main"]`, ""},
		{"both of two claims", `{"user_claim":"sub","bound_audiences":"pkid","bound_claims":{"ref":"main","env":"prod"}}`, good + `,"ref":"main","env":"test"`, "does not match"},
		{"a boolean", `{"user_claim":"sub","bound_audiences":"pkid","bound_claims":{"email_verified":true}}`, good + `,"email_verified":true`, ""},
		{"a number", `{"user_claim":"sub","bound_audiences":"pkid","bound_claims":{"project_id":"9007199254740993"}}`, good + `,"project_id":9007199254740993`, ""},
		{"a number beside it", `{"user_claim":"sub","bound_audiences":"pkid","bound_claims":{"project_id":"9007199254740993"}}`, good + `,"project_id":9007199254740992`, "does not match"},
		{"by a pointer", `{"user_claim":"sub","bound_audiences":"pkid","bound_claims":{"/a~1b/c":"d"}}`, good + `,"a/b":{"c":"d"}`, ""},
		{"a star is a star", `{"user_claim":"sub","bound_audiences":"pkid","bound_claims":{"ref":"m*"}}`, good + `,"ref":"main"`, "does not match"},
		{"glob", `{"user_claim":"sub","bound_audiences":"pkid","bound_claims_type":"glob","bound_claims":{"ref":"refs/*/v*.0"}}`, good + `,"ref":"refs/tags/v1.0"`, ""},
		{"glob that ends otherwise", `{"user_claim":"sub","bound_audiences":"pkid","bound_claims_type":"glob","bound_claims":{"ref":"refs/*/v*.0"}}`, good + `,"ref":"refs/tags/v1.0.1"`, "does not match"},
		{"glob of too little", `{"user_claim":"sub","bound_audiences":"pkid","bound_claims_type":"glob","bound_claims":{"ref":"aa*aa"}}`, good + `,"ref":"aaa"`, "does not match"},

		{"no user", plain, exp + `,"aud":"pkid"`, "user claim"},
		{"empty user", plain, exp + `,"aud":"pkid","sub":""`, "user claim"},
		{"user that is a list", plain, exp + `,"aud":"pkid","sub":["build"]`, "user claim"},
		{"user by a pointer", `{"user_claim":"/a/b","user_claim_json_pointer":true,"bound_audiences":"pkid"}`, exp + `,"aud":"pkid","a":{"b":"build"}`, ""},
		{"user of that name", `{"user_claim":"/a/b","bound_audiences":"pkid"}`, exp + `,"aud":"pkid","/a/b":"build"`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := c.claims
			if !strings.Contains(text, `"iat"`) && !strings.Contains(text, `"nbf"`) && c.refusal != "no exp" {
				text += `,"iat":` + at(-5)
			}
			login, err := role(t, c.role).Admit(claimsOf(t, "{"+text+"}"), now)
			switch {
			case c.refusal == "" && (err != nil || login.User != "build"):
				t.Errorf("%+v, %v", login, err)
			case c.refusal != "" && (err == nil || !strings.Contains(err.Error(), c.refusal)):
				t.Errorf("%+v, %v; want %q in the error", login, err, c.refusal)
			}
		})
	}
}

func TestClaimMappings(t *testing.T) {
	r := role(t, `{"user_claim":"sub","bound_audiences":"pkid","claim_mappings":{"nomad_job_id":"job","/k8s/ns":"namespace","run":"run","gone":"gone"}}`)
	text := `"exp":` + at(60) + `,"iat":` + at(-1) + `,"aud":"pkid","sub":"x","nomad_job_id":"web","k8s":{"ns":"prod"},"run":12`
	login, err := r.Admit(claimsOf(t, "{"+text+"}"), now)
	if err != nil {
		t.Fatal(err)
	}
	if want := map[string]string{"job": "web", "namespace": "prod", "run": "12"}; !maps.Equal(login.Meta, want) {
		t.Errorf("metadata %v, want %v", login.Meta, want)
	}
	if _, err := r.Admit(claimsOf(t, "{"+strings.Replace(text, "12", "[12]", 1)+"}"), now); err == nil {
		t.Error("a list became metadata")
	}
}

func TestRoleRefused(t *testing.T) {
	for fields, want := range map[string]string{
		`{}`:                   "a user claim must be defined",
		`{"user_claim":"sub"}`: "at least one bound constraint",
		`{"user_claim":"sub","bound_subject":"a","role_type":"oidc"}`:                                 "browser",
		`{"user_claim":"sub","bound_subject":"a","allowed_redirect_uris":"https://x"}`:                "browser",
		`{"user_claim":"sub","bound_subject":"a","groups_claim":"groups"}`:                            "no identity groups",
		`{"user_claim":"sub","bound_subject":"a","bound_claims_type":"regexp"}`:                       "bound_claims_type",
		`{"user_claim":"sub","bound_claims":{"a":{"b":"c"}}}`:                                         "neither a text",
		`{"user_claim":"sub","bound_claims":{"a":[]}}`:                                                "no value",
		`{"user_claim":"sub","bound_claims":"a"}`:                                                     "not an object",
		`{"user_claim":"sub","bound_subject":"a","claim_mappings":{"a":"role"}}`:                      "reserved",
		`{"user_claim":"sub","bound_subject":"a","claim_mappings":{"a":"x","b":"x"}}`:                 "multiple keys",
		`{"user_claim":"sub","bound_subject":"a","user_claim_json_pointer":true}`:                     "begins with /",
		`{"user_claim":"sub","bound_subject":"a","token_policies":"root"}`:                            "root",
		`{"user_claim":"sub","bound_subject":"a","clock_skew_leeway":"-2s"}`:                          "invalid duration",
		`{"user_claim":"sub","bound_subject":"a","verbose_oidc_logging":true}`:                        "not logged",
		`{"user_claim":"sub","bound_audiences":"","bound_claims":{},"token_bound_cidrs":[]}`:          "at least one bound constraint",
		`{"user_claim":"sub","bound_subject":"a","token_bound_cidrs":"here","bound_audiences":["x"]}`: "neither an address",
	} {
		if err := apply(t, &jwt.Role{}, fields); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q in it", fields, err, want)
		}
	}
}

// TestRoleIsWrittenOver has what Vault does with a second write: what is not
// given stays.
func TestRoleIsWrittenOver(t *testing.T) {
	r := role(t, `{"user_claim":"sub","bound_subject":"a","bound_claims_type":"glob","bound_claims":{"a":"b*"},"token_ttl":"1h","clock_skew_leeway":"5s"}`)
	if err := apply(t, r, `{"bound_subject":"","token_policies":"web"}`); err != nil {
		t.Fatal(err)
	}
	if r.BoundSubject != "" || r.BoundClaimsType != "glob" || len(r.BoundClaims) != 1 || r.Token.TTL != time.Hour || r.ClockSkewLeeway != 5 || r.UserClaim != "sub" {
		t.Errorf("%+v", r)
	}
}

// TestWhatTerraformSends has all the fields of Terraform's resources, of which
// those that a plan does not set are sent empty.
func TestWhatTerraformSends(t *testing.T) {
	r := role(t, `{"role_type":"jwt","bound_audiences":["pkid"],"user_claim":"sub","user_claim_json_pointer":false,"allowed_redirect_uris":[],
		"bound_subject":"","oidc_scopes":[],"bound_claims_type":"string","bound_claims":{"ref":["main"]},"claim_mappings":{},"groups_claim":"",
		"clock_skew_leeway":0,"expiration_leeway":0,"not_before_leeway":0,"verbose_oidc_logging":false,"max_age":0,"token_policies":[],
		"token_ttl":0,"token_max_ttl":0,"token_explicit_max_ttl":0,"token_period":0,"token_num_uses":0,"token_bound_cidrs":[],"token_type":"default","token_no_default_policy":false}`)
	if _, err := r.Admit(claimsOf(t, `{"exp":`+at(60)+`,"iat":`+at(-1)+`,"aud":"pkid","sub":"x","ref":"main"}`), now); err != nil {
		t.Error(err)
	}
	cfg, err := jwt.ConfigFromParams(vaultapi.NewParams(map[string]any{
		"jwks": "", "jwks_url": "https://ci.example.com/keys", "jwks_ca_pem": "", "jwks_pairs": []any{}, "oidc_discovery_url": "", "oidc_discovery_ca_pem": "",
		"oidc_client_id": "", "oidc_client_secret": "", "oidc_response_mode": "", "oidc_response_types": []any{}, "jwt_validation_pubkeys": []any{},
		"bound_issuer": "ci", "jwt_supported_algs": []any{}, "default_role": "",
	}))
	if err != nil || cfg.JWKSURL != "https://ci.example.com/keys" {
		t.Errorf("%+v, %v", cfg, err)
	}
	cfg = configure(t, map[string]any{"oidc_discovery_url": "https://ci.example.com/"})
	if shown := cfg.Show(); shown["oidc_discovery_url"] != "https://ci.example.com/" {
		t.Errorf("oidc_discovery_url reads %q", shown["oidc_discovery_url"])
	}
	kubernetes, err := jwt.KubernetesConfigFromParams(vaultapi.NewParams(map[string]any{
		"kubernetes_host": "https://k.example.com", "kubernetes_ca_cert": "", "token_reviewer_jwt": "", "pem_keys": []any{ecSigner.pem(t)}, "issuer": "",
		"disable_iss_validation": true, "disable_local_ca_jwt": true, "use_annotations_as_alias_metadata": false,
	}))
	if err != nil {
		t.Fatal(err)
	}
	if shown := kubernetes.ShowKubernetes(); shown["kubernetes_host"] != "https://k.example.com" {
		t.Errorf("kubernetes_host reads %q, so each plan would write it again", shown["kubernetes_host"])
	}
}
