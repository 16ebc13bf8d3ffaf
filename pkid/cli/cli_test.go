package cli_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	ucli "github.com/urfave/cli/v2"

	"github.com/hsmpki/hsmpki/pkid/cli"
)

// recorder answers each request with the next of its answers and keeps what
// was asked.
type recorder struct {
	asked   []string
	answers []string // "status body"
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	var compact bytes.Buffer
	_ = json.Compact(&compact, body)
	r.asked = append(r.asked, strings.TrimSpace(req.Method+" "+req.URL.RequestURI()+" "+compact.String()))
	if len(r.answers) == 0 {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	var status int
	answer := r.answers[0]
	r.answers = r.answers[1:]
	fmt.Sscanf(answer, "%d", &status)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, answer[4:])
}

type outcome struct {
	out, errOut string
	code        int
	asked       []string
}

// run runs one command line against a server on a Unix socket.
func run(t *testing.T, stdin string, answers []string, args ...string) outcome {
	t.Helper()
	return runAs(t, "", stdin, answers, args...)
}

// runAs is run with a token in the environment.
func runAs(t *testing.T, token, stdin string, answers []string, args ...string) outcome {
	t.Helper()
	t.Setenv("HOME", t.TempDir())
	for _, name := range []string{"PKID_ADDR", "VAULT_ADDR", "PKID_TOKEN", "VAULT_TOKEN", "PKID_FORMAT", "VAULT_FORMAT"} {
		t.Setenv(name, "")
	}
	socket := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	rec := &recorder{answers: answers}
	server := &http.Server{Handler: rec}
	go server.Serve(listener)
	defer server.Close()
	t.Setenv("PKID_ADDR", "unix://"+socket)
	t.Setenv("PKID_TOKEN", token)

	var out, errOut bytes.Buffer
	app := &ucli.App{
		Name: "pkid", Commands: cli.Commands(), Action: cli.UnknownCommand, OnUsageError: cli.UsageError,
		HideHelpCommand: true, DisableSliceFlagSeparator: true,
		Reader: strings.NewReader(stdin), Writer: &out, ErrWriter: &errOut, ExitErrHandler: func(*ucli.Context, error) {},
	}
	err = app.Run(append([]string{"pkid"}, args...))
	if err != nil {
		errOut.WriteString(err.Error())
	}
	return outcome{strings.ReplaceAll(out.String(), socket, "SOCKET"), errOut.String(), cli.ExitCode(err), rec.asked}
}

func TestWhatIsSent(t *testing.T) {
	for _, c := range []struct {
		args  string
		stdin string
		want  string
	}{
		{args: "write pki/roles/web allowed_domains=a,b ttl=1h", want: `PUT /v1/pki/roles/web {"allowed_domains":"a,b","ttl":"1h"}`},
		{args: "write /v1/pki/roles/web/ a=1 a=2", want: `PUT /v1/pki/roles/web {"a":["1","2"]}`},
		{args: "write -f sys/managed-keys/pkcs11/k/test/sign", want: `PUT /v1/sys/managed-keys/pkcs11/k/test/sign {}`},
		{args: "write -force x/y", want: `PUT /v1/x/y {}`},
		{args: "write x pin=-", stdin: "1234\n", want: `PUT /v1/x {"pin":"1234"}`},
		{args: "write x csr=-", stdin: "two\nlines\n", want: `PUT /v1/x {"csr":"two\nlines\n"}`},
		{args: "write x -", stdin: `{"a":[1,true]}`, want: `PUT /v1/x {"a":[1,true]}`},
		{args: `write x a=\@b c=`, want: `PUT /v1/x {"a":"@b","c":""}`},
		{args: "write x help=y", want: `PUT /v1/x {"help":"y"}`},
		{args: "read help", want: "GET /v1/help"},
		{args: "read sys/x a=b", want: "GET /v1/sys/x?a=b"},
		{args: "list pki/roles", want: "GET /v1/pki/roles?list=true"},
		{args: "delete pki/roles/web", want: "DELETE /v1/pki/roles/web"},
		{args: "patch pki/roles/web ttl=1h", want: `PATCH /v1/pki/roles/web {"ttl":"1h"}`},
		{args: "secrets enable -path=a/b -max-lease-ttl=1h pki", want: `POST /v1/sys/mounts/a/b {"config":{"max_lease_ttl":"1h"},"description":"","local":false,"seal_wrap":false,"type":"pki"}`},
		{args: "secrets tune -allowed-managed-keys=a,b -allowed-managed-keys=c pki", want: `POST /v1/sys/mounts/pki/tune {"allowed_managed_keys":["a,b","c"]}`},
		{args: "secrets tune -description= pki", want: `POST /v1/sys/mounts/pki/tune {"description":""}`},
		{args: "secrets disable pki/", want: "DELETE /v1/sys/mounts/pki"},
		{args: "login -no-store -method=approle role_id=r secret_id=-", stdin: "s\n", want: `PUT /v1/auth/approle/login {"role_id":"r","secret_id":"s"}`},
		{args: "login -no-store -method=jwt -path=jwt-nomad/ role=web jwt=-", stdin: "a.b.c\n", want: `PUT /v1/auth/jwt-nomad/login {"jwt":"a.b.c","role":"web"}`},
		{args: "login -no-store -method=cert -path=auth/team/cert", want: `PUT /v1/auth/team/cert/login {}`},
		{args: "login -no-store hvs.x", want: `GET /v1/auth/token/lookup-self`},
		{args: "token create", want: `PUT /v1/auth/token/create {}`},
		{args: "token create -policy=a,b -policy=c -ttl=1h -period=2h -explicit-max-ttl=3h -orphan -use-limit=2 -display-name=d -metadata=k=v=w -no-default-policy -renewable=false -type=service -id=x",
			want: `PUT /v1/auth/token/create {"display_name":"d","explicit_max_ttl":"3h","id":"x","meta":{"k":"v=w"},"no_default_policy":true,"no_parent":true,"num_uses":2,"period":"2h","policies":["a,b","c"],"renewable":false,"ttl":"1h","type":"service"}`},
		{args: "token create -role=ci", want: `PUT /v1/auth/token/create/ci {}`},
		{args: "token lookup", want: `GET /v1/auth/token/lookup-self`},
		{args: "token lookup hvs.x", want: `PUT /v1/auth/token/lookup {"token":"hvs.x"}`},
		{args: "token lookup -accessor a", want: `PUT /v1/auth/token/lookup-accessor {"accessor":"a"}`},
		{args: "token renew", want: `PUT /v1/auth/token/renew-self {}`},
		{args: "token renew -increment=30m hvs.x", want: `PUT /v1/auth/token/renew {"increment":"30m","token":"hvs.x"}`},
		{args: "token renew -accessor a", want: `PUT /v1/auth/token/renew-accessor {"accessor":"a"}`},
		{args: "token revoke -self", want: `PUT /v1/auth/token/revoke-self {}`},
		{args: "token revoke hvs.x", want: `PUT /v1/auth/token/revoke {"token":"hvs.x"}`},
		{args: "token revoke -accessor a", want: `PUT /v1/auth/token/revoke-accessor {"accessor":"a"}`},
		{args: "token revoke -mode=orphan hvs.x", want: `PUT /v1/auth/token/revoke-orphan {"token":"hvs.x"}`},
		{args: "token revoke -mode=path auth/jwt/", want: `PUT /v1/sys/leases/revoke-prefix/auth/jwt null`},
		{args: "token capabilities pki/issue/web", want: `PUT /v1/sys/capabilities-self {"paths":["pki/issue/web"]}`},
		{args: "token capabilities hvs.x pki/", want: `PUT /v1/sys/capabilities {"paths":["pki/"],"token":"hvs.x"}`},
		{args: "token capabilities -accessor a pki", want: `PUT /v1/sys/capabilities-accessor {"accessor":"a","paths":["pki"]}`},
	} {
		got := run(t, c.stdin, nil, strings.Fields(c.args)...)
		if len(got.asked) != 1 || got.asked[0] != c.want {
			t.Errorf("pkid %s\n sent %q\n want %q\n (exit %d: %s)", c.args, got.asked, c.want, got.code, got.errOut)
		}
	}
}

func TestExitCodesAndMessages(t *testing.T) {
	for _, c := range []struct {
		args   string
		answer string
		code   int
		says   string
	}{
		{args: "nonsense", code: 1, says: `"nonsense" is no command`},
		{args: "secrets nonsense", code: 1, says: `"nonsense" is no command`},
		{args: "write -nonsense x", code: 1, says: "flag provided but not defined"},
		{args: "write x", code: 1, says: "Must supply data or use -force"},
		{args: "write x novalue", code: 1, says: "failed to parse K=V data"},
		{args: "write x a=@/does/not/exist", code: 1, says: "/does/not/exist"},
		{args: "write x a=- b=-", code: 1, says: "standard input can be read only once"},
		{args: "read", code: 1, says: "Not enough arguments"},
		{args: "list a b", code: 1, says: "Too many arguments"},
		{args: "policy list a", code: 1, says: "Too many arguments"},
		{args: "read -format=xml x", code: 1, says: "must be table, json or yaml"},
		{args: "read x -format=json", code: 2, says: "Command flags must be provided before"},
		{args: "write x a=b -c=d", code: 0, says: "Command flags must be provided before positional arguments"},
		{args: "read x", answer: `404 {"errors":[]}`, code: 2, says: "No value found at x"},
		{args: "list x", answer: `404 {"errors":[]}`, code: 2, says: "No value found at x"},
		{args: "write x a=b", answer: `400 {"errors":["unknown role: x"]}`, code: 2, says: "Code: 400. Errors:\n\n* unknown role: x"},
		{args: "read -address=http://10.0.0.1:8200 x", code: 1, says: "loopback"},
		{args: "read -address=ftp://x x", code: 1, says: "none of unix://"},
		{args: "read -address=unix:///does/not/exist x", code: 1, says: "no pkid answers on /does/not/exist"},
		{args: "read -field=b x", answer: `200 {"data":{"a":"1"}}`, code: 1, says: `Field "b" not present`},
		{args: "status", answer: `200 {"sealed":true}`, code: 2},
		{args: "status", answer: `200 {"sealed":false}`, code: 0},
		{args: "quickstart", code: 1, says: `"cn" not set`},
		{args: "login -method=oidc", code: 1, says: "-method=oidc: is none of token, approle"},
		{args: "login a b", code: 1, says: "Too many arguments"},
		{args: "login -path=jwt a", code: 1, says: "-path has no meaning"},
		{args: "login -token-only -no-print a", code: 1, says: "cannot be used with"},
		{args: "login a", answer: `403 {"errors":["permission denied"]}`, code: 2, says: "Error authenticating: error looking up token"},
		{args: "login -method=jwt jwt=x", answer: `200 {"data":{}}`, code: 1, says: "the answer has no token"},
		{args: "token lookup -accessor", code: 1, says: "Not enough arguments"},
		{args: "token lookup a b", code: 1, says: "Too many arguments"},
		{args: "token revoke", code: 1, says: "or -self"},
		{args: "token revoke -self a", code: 1, says: "-self goes with"},
		{args: "token revoke -mode=tree a", code: 1, says: "must be orphan or path"},
		{args: "token revoke -mode=orphan -accessor a", code: 1, says: "cannot be used with -mode"},
		{args: "token capabilities", code: 1, says: "got 0 arguments"},
		{args: "token capabilities -accessor a", code: 1, says: "got 1 arguments"},
		{args: "token create -metadata=nothing", code: 1, says: "must be KEY=VALUE"},
		{args: "issue a.example.com", answer: `403 {"errors":["permission denied"]}`, code: 2, says: "-role=NAME needs no right to list them"},
		{args: "issue a.example.com", answer: `404 {"errors":[]}`, code: 2, says: "pki has no roles"},
		{args: "unwrap", code: 1, says: "which token? Give it as the argument, or set PKID_TOKEN"},
	} {
		answers := []string{}
		if c.answer != "" {
			answers = append(answers, c.answer)
		}
		got := run(t, "x", answers, strings.Fields(c.args)...)
		if got.code != c.code || !strings.Contains(got.errOut, c.says) {
			t.Errorf("pkid %s: exit %d, want %d; said %q, want %q in it", c.args, got.code, c.code, got.errOut, c.says)
		}
	}
}

func TestOutput(t *testing.T) {
	const answer = `200 {"request_id":"r","data":{"b":["x","y"],"a":12345678901,"long_name":"v","z":null},"warnings":["mind"]}`
	got := run(t, "", []string{answer}, "read", "x")
	want := "Key          Value\n---          -----\na            12345678901\nb            [x y]\nlong_name    v\nz            n/a\n"
	if got.out != want || !strings.Contains(got.errOut, "  * mind\n") {
		t.Errorf("table:\n%s\nwant:\n%s\nstderr: %s", got.out, want, got.errOut)
	}
	if got := run(t, "", []string{answer}, "read", "-field=b", "x"); got.out != "[x y]" {
		t.Errorf("field: %q", got.out)
	}
	if got := run(t, "", []string{answer}, "read", "-format=json", "x"); !strings.Contains(got.out, `"a": 12345678901`) || !strings.Contains(got.out, `"request_id": "r"`) {
		t.Errorf("json: %s", got.out)
	}
	if got := run(t, "", []string{answer}, "read", "-format=yaml", "x"); !strings.Contains(got.out, "  a: 12345678901\n") {
		t.Errorf("yaml: %s", got.out)
	}
	if got := run(t, "", []string{`200 {"data":{"keys":["k1","k2"]}}`}, "list", "-format=json", "x"); got.out != "[\n  \"k1\",\n  \"k2\"\n]\n" {
		t.Errorf("list: %s", got.out)
	}
	if got := run(t, "", []string{`503 {"errors":["away"]}`, `200 {"data":{"a":"1"}}`}, "read", "-field=a", "x"); got.out != "1" || len(got.asked) != 2 {
		t.Errorf("a 503 is asked again: %+v", got)
	}
}

// TestUnwrapWithoutArgument: the token of the environment may be another than a
// wrapping one.
func TestUnwrapWithoutArgument(t *testing.T) {
	got := runAs(t, "hvs.x", "", []string{`400 {"errors":["missing \"token\" value in input data"]}`}, "unwrap")
	if got.code != 2 || !strings.Contains(got.errOut, "the token of the environment is not a wrapping token: pkid unwrap TOKEN") {
		t.Errorf("exit %d, said %q", got.code, got.errOut)
	}
	if got := runAs(t, "hvs.x", "", []string{`200 {"data":{"a":"1"}}`}, "unwrap", "-field=a"); got.out != "1" {
		t.Errorf("the token of the environment: %+v", got)
	}
}

// TestIssueThatWaits: what waits for approval is no certificate, and no file.
func TestIssueThatWaits(t *testing.T) {
	dir := t.TempDir()
	csr := filepath.Join(dir, "a.csr")
	if err := os.WriteFile(csr, []byte("csr"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := run(t, "", []string{`202 {"data":{"approval_id":"0a","poll":"sys/approvals/0a"},"warnings":["approval of 2 people is waited for"]}`},
		"issue", "-role=web", "-csr="+csr, "-out="+dir, "a.example.com")
	if got.code != 2 || !strings.Contains(got.errOut, "no file is written yet") || !strings.Contains(got.errOut, "pkid read -field=certificate sys/approvals/0a") {
		t.Errorf("exit %d, said %q", got.code, got.errOut)
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("files: %v", files)
	}
}
