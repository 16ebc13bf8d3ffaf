package jwt_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hsmpki/hsmpki/pkid/auth/jwt"
	"github.com/hsmpki/hsmpki/pkid/store"
	"github.com/hsmpki/hsmpki/pkid/store/pebblestore"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

func method(t *testing.T) (*jwt.Method, store.Store) {
	t.Helper()
	state, err := pebblestore.Open(pebblestore.Config{Path: "state", FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { state.Close() })
	return jwt.NewMethod(jwt.Settings{Store: state, Space: store.AuthOf("u"), Now: standing, Log: slog.New(slog.DiscardHandler)}), state
}

func configureMethod(t *testing.T, m *jwt.Method, params map[string]any) {
	t.Helper()
	if warning, err := m.Configure(t.Context(), configure(t, params)); err != nil || warning != "" {
		t.Fatal(warning, err)
	}
}

// TestStoredForm holds what is stored: a state of today has to be read tomorrow.
func TestStoredForm(t *testing.T) {
	m, state := method(t)
	configureMethod(t, m, map[string]any{"jwks": `{"keys":[{"kty":"OKP","crv":"Ed25519","x":"O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik"}]}`,
		"bound_issuer": "ci", "jwt_supported_algs": "EdDSA", "default_role": "web"})
	err := m.ChangeRole(t.Context(), "web", func(r *jwt.Role) error {
		return apply(t, r, `{"user_claim":"/a","user_claim_json_pointer":true,"bound_audiences":"pkid","bound_subject":"s","bound_claims":{"ref":"v*"},
			"bound_claims_type":"glob","claim_mappings":{"ref":"git"},"expiration_leeway":-1,"not_before_leeway":2,"clock_skew_leeway":3,
			"token_policies":"p","token_ttl":"1h","token_max_ttl":"2h","token_explicit_max_ttl":"3h","token_period":"4h","token_num_uses":5,
			"token_bound_cidrs":"10.0.0.0/8","token_no_default_policy":true}`)
	})
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"auth/u/config": `{"jwks":"{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik\"}]}",` +
			`"bound_issuer":"ci","jwt_supported_algs":["EdDSA"],"default_role":"web"}`,
		"auth/u/role/web": `{"bound_audiences":["pkid"],"bound_subject":"s","bound_claims":{"ref":["v*"]},"bound_claims_type":"glob","user_claim":"/a",` +
			`"user_claim_json_pointer":true,"claim_mappings":{"ref":"git"},"expiration_leeway":-1,"not_before_leeway":2,"clock_skew_leeway":3,` +
			`"token":{"token_policies":["p"],"token_no_default_policy":true,"token_ttl":3600000000000,"token_max_ttl":7200000000000,` +
			`"token_explicit_max_ttl":10800000000000,"token_period":14400000000000,"token_num_uses":5,"token_bound_cidrs":["10.0.0.0/8"]}}`,
	} {
		err := state.View(t.Context(), func(r store.Reader) error {
			got, err := r.Get([]byte(key))
			if string(got) != want {
				t.Errorf("%s:\n got %s\nwant %s", key, got, want)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	role, err := m.Role(t.Context(), "web")
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := json.Marshal(role); !strings.Contains(string(again), `"token_num_uses":5`) || role.BoundClaimsType != "glob" {
		t.Errorf("read again: %s", again)
	}
}

// TestLoginSaysWhy has the reasons that are for the log, and what a login gives.
func TestLoginSaysWhy(t *testing.T) {
	m, _ := method(t)
	good := edSigner.sign(t, `{"exp":`+at(60)+`,"iat":`+at(-1)+`,"aud":"pkid","sub":"x"}`)
	refused := func(role, token, want string) {
		t.Helper()
		_, err := m.Login(t.Context(), role, token, netip.Addr{})
		if refusal, ok := errors.AsType[*jwt.Refusal](err); !ok || !strings.Contains(refusal.Reason.Error(), want) {
			t.Errorf("role %q: %v, want %q", role, err, want)
		}
	}
	refused("web", good, "could not load configuration")
	configureMethod(t, m, map[string]any{"jwks": keySet(t, edSigner)})
	refused("web", good, `role "web" could not be found`)
	refused("web", good+"A", "signature")
	if _, err := m.Login(t.Context(), "", good, netip.Addr{}); err == nil || !strings.Contains(err.Error(), "missing role") {
		t.Errorf("no role: %v", err)
	}
	err := m.ChangeRole(t.Context(), "web", func(r *jwt.Role) error {
		return apply(t, r, `{"user_claim":"sub","bound_audiences":"pkid","token_policies":"p","token_bound_cidrs":"10.0.0.0/8"}`)
	})
	if err != nil {
		t.Fatal(err)
	}
	refused("web", good, "no logins from this address")
	spec, err := m.Login(t.Context(), "WEB", good, netip.MustParseAddr("10.1.2.3"))
	if err != nil || spec.DisplayName != "x" || spec.Meta["role"] != "web" || len(spec.Policies) != 1 || len(spec.BoundCIDRs) != 1 {
		t.Errorf("%+v, %v", spec, err)
	}

	// A change of the configuration counts at once.
	configureMethod(t, m, map[string]any{"jwks": keySet(t, ecSigner)})
	refused("web", good, "no known key fits")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := m.Login(ctx, "web", good, netip.Addr{}); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
}

// TestRoleNotWritten leaves the role as it was, where a write is refused.
func TestRoleNotWritten(t *testing.T) {
	m, _ := method(t)
	write := func(fields string) error {
		return m.ChangeRole(t.Context(), "web", func(r *jwt.Role) error { return apply(t, r, fields) })
	}
	if err := write(`{"user_claim":"sub","bound_audiences":"pkid"}`); err != nil {
		t.Fatal(err)
	}
	if err := write(`{"user_claim":"email","bound_audiences":""}`); err == nil {
		t.Error("a role without bounds was written")
	} else if refusal, ok := errors.AsType[*vaultapi.Error](err); !ok || refusal.Status != 400 {
		t.Errorf("refused by %v", err)
	}
	if role, err := m.Role(t.Context(), "web"); err != nil || role.UserClaim != "sub" {
		t.Errorf("%+v, %v", role, err)
	}
}
