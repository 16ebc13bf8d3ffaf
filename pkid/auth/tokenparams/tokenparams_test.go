package tokenparams_test

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/pkid/auth/tokenparams"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

func apply(t *testing.T, p *tokenparams.Params, body string) error {
	t.Helper()
	in, err := vaultapi.ParseJSON([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return p.Apply(in)
}

func shown(t *testing.T, p *tokenparams.Params) string {
	t.Helper()
	data := map[string]any{}
	p.Show(data)
	text, err := json.Marshal(data)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestApply(t *testing.T) {
	var p tokenparams.Params
	const all = `{"token_policies":"Web, ops","token_ttl":"1h","token_max_ttl":7200,"token_explicit_max_ttl":"3h","token_period":"30m",
		"token_num_uses":3,"token_bound_cidrs":["10.1.2.3/8","192.0.2.1"],"token_no_default_policy":"true","token_type":"service"}`
	if err := apply(t, &p, all); err != nil {
		t.Fatal(err)
	}
	const want = `{"token_bound_cidrs":["10.0.0.0/8","192.0.2.1"],"token_explicit_max_ttl":10800,"token_max_ttl":7200,` +
		`"token_no_default_policy":true,"token_num_uses":3,"token_period":1800,"token_policies":["ops","web"],"token_ttl":3600,"token_type":"default"}`
	if got := shown(t, &p); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	// What is not given stays, what is given empty goes, and old names count.
	if err := apply(t, &p, `{"ttl":60,"token_bound_cidrs":[],"policies":"new"}`); err != nil {
		t.Fatal(err)
	}
	if got := shown(t, &p); !strings.Contains(got, `"token_bound_cidrs":[]`) || !strings.Contains(got, `"token_ttl":60,`) ||
		!strings.Contains(got, `"token_policies":["new"]`) || !strings.Contains(got, `"token_period":1800`) {
		t.Errorf("got %s", got)
	}
}

func TestRefused(t *testing.T) {
	for body, want := range map[string]string{
		`{"token_policies":"web,Root"}`:           "cannot create root tokens",
		`{"token_ttl":"2h","token_max_ttl":"1h"}`: "cannot be greater",
		`{"token_num_uses":-1}`:                   "cannot be negative",
		`{"token_type":"batch"}`:                  "no batch tokens",
		`{"token_type":"gold"}`:                   "invalid value",
		`{"token_bound_cidrs":"10.0.0.0/33"}`:     "neither an address nor a network",
		`{"token_period":"soon"}`:                 "invalid duration",
	} {
		if err := apply(t, &tokenparams.Params{}, body); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q in it", body, err, want)
		}
	}
}

func TestFrom(t *testing.T) {
	var p tokenparams.Params
	if !p.From(netip.Addr{}) {
		t.Error("a role without networks takes no login from a socket")
	}
	if err := apply(t, &p, `{"token_bound_cidrs":"10.0.0.0/8"}`); err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[netip.Addr]bool{
		netip.MustParseAddr("10.9.9.9"): true, netip.MustParseAddr("::ffff:10.9.9.9"): true, netip.MustParseAddr("11.0.0.1"): false, {}: false,
	} {
		if p.From(addr) != want {
			t.Errorf("%v: %v", addr, !want)
		}
	}
}
