package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const loggedIn = `200 {"request_id":"r","data":null,"auth":{"client_token":"hvs.new","accessor":"acc","policies":["default","web"],` +
	`"token_policies":["default","web"],"metadata":{"role":"web"},"lease_duration":5400,"renewable":true}}`

// stored is the token file that the last run left.
func stored(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(os.Getenv("HOME"), ".pkid-token"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(b)
}

func TestLogin(t *testing.T) {
	const table = `Key                  Value
---                  -----
token                hvs.new
token_accessor       acc
token_duration       1h30m
token_renewable      true
token_policies       ["default" "web"]
identity_policies    []
policies             ["default" "web"]
token_meta_role      web
`
	login := []string{"login", "-method=approle", "role_id=r"}
	got := run(t, "", []string{loggedIn}, login...)
	if got.code != 0 || !strings.HasPrefix(got.out, "Success! You are now authenticated.") || !strings.HasSuffix(got.out, "\n"+table) {
		t.Errorf("%+v, want the table\n%s", got, table)
	}
	if stored(t) != "hvs.new" {
		t.Errorf("stored %q", stored(t))
	}
	for flags, want := range map[string]struct{ out, stored string }{
		"-no-print":                      {"", "hvs.new"},
		"-no-store -field=token":         {"hvs.new", ""},
		"-field=token_accessor":          {"acc", "hvs.new"},
		"-token-only":                    {"hvs.new", ""},
		"-no-store -field=token_meta_x":  {"", ""},
		"-no-store -field=token_renewed": {"", ""},
	} {
		got := run(t, "", []string{loggedIn}, append([]string{"login"}, append(strings.Fields(flags), login[1:]...)...)...)
		if got.out != want.out || stored(t) != want.stored {
			t.Errorf("login %s: printed %q and stored %q, want %+v", flags, got.out, stored(t), want)
		}
	}
	if got := run(t, "", []string{loggedIn}, "write", "-field=token", "auth/jwt/login", "jwt=x"); got.out != "hvs.new" {
		t.Errorf("a login by write: %+v", got)
	}
	if got := run(t, "", []string{`403 {"errors":["permission denied"]}`}, login...); got.code != 2 || stored(t) != "" {
		t.Errorf("a login that was refused: %+v, stored %q", got, stored(t))
	}
}

func TestLoginByToken(t *testing.T) {
	const found = `200 {"request_id":"r","data":{"id":"hvs.mine","accessor":"acc","policies":["root"],"ttl":0,"renewable":false}}`
	for _, args := range [][]string{{"hvs.mine"}, {"-"}, {}, {"token=hvs.mine"}, {"token=-"}} {
		got := run(t, " hvs.mine \n", []string{found}, append([]string{"login"}, args...)...)
		if got.code != 0 || stored(t) != "hvs.mine" || !strings.Contains(got.out, "token_duration       ∞") || !strings.Contains(got.out, `token_policies       ["root"]`) {
			t.Errorf("login %v: %+v, stored %q", args, got, stored(t))
		}
	}
	if got := run(t, "\n", nil, "login"); got.code != 1 || len(got.asked) != 0 {
		t.Errorf("no token: %+v", got)
	}
}
