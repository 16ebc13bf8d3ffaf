package test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/hsmpki/hsmpki/"

// mayImport says which of our own packages each of them may import; what a test
// imports is not bound. A pattern ends in "/*" and matches what is below.
// Nothing else may exist: whoever adds a package argues for its row here.
var mayImport = map[string][]string{
	"wire":           nil,
	"wire/unixsock":  nil,
	"config":         nil,
	"config/manual":  nil, // both programs' manual pages and completions
	"config/logging": nil, // how both daemons write their log
	"config/systemd": nil, // what both daemons say to systemd

	"hsmd":             {"hsmd/*", "wire", "wire/unixsock", "config", "config/logging", "config/manual", "config/systemd"},
	"hsmd/server":      {"wire", "wire/unixsock", "hsmd/grant", "hsmd/tbs", "hsmd/managedkey", "hsmd/responder", "hsmd/confinement", "hsmd/approval", "hsmd/auditlog", "hsmd/ledger", "hsmd/constraint"},
	"hsmd/approval":    nil,
	"hsmd/constraint":  {"config", "hsmd/tbs"},
	"hsmd/grant":       {"config", "wire/unixsock"},
	"hsmd/drill":       {"wire"},
	"hsmd/tbs":         {"wire"},
	"hsmd/managedkey":  {"config", "wire"},
	"hsmd/responder":   nil,
	"hsmd/auditlog":    nil,
	"hsmd/ledger":      nil,
	"hsmd/worker":      {"wire", "wire/unixsock", "hsmd/confinement"},
	"hsmd/confinement": nil,
	"hsmd/pkcs11":      {"wire"},
	"hsmd/awskms":      {"wire"},
	"hsmd/backendtest": {"wire"},

	"pkid":                    {"pkid/*", "config", "config/logging", "config/manual", "config/systemd", "wire"},
	"pkid/cli":                {"pkid/client", "pkid/store/snapshot", "pkid/vaultapi", "pkid/health"},
	"pkid/health":             nil,
	"pkid/client":             {"pkid/vaultapi"},
	"pkid/vaultapi":           nil,
	"pkid/listen":             {"config", "wire/unixsock"},
	"pkid/api":                {"pkid/vaultapi", "pkid/listen", "pkid/identity", "pkid/token", "pkid/auth", "pkid/auth/*", "pkid/policy", "pkid/auditlog", "pkid/mounts", "pkid/ca", "pkid/crl", "pkid/ocsp", "pkid/inventory", "pkid/tidy", "pkid/role", "pkid/issuance", "pkid/store", "pkid/store/snapshot", "pkid/hsm", "pkid/pending", "pkid/wrapping", "pkid/metrics", "wire"},
	"pkid/pending":            {"pkid/store", "pkid/identity"},
	"pkid/wrapping":           {"pkid/store"},
	"pkid/metrics":            {"pkid/mounts", "pkid/ca", "pkid/store/pebblestore", "wire"},
	"pkid/mounts":             {"pkid/vaultapi", "pkid/store", "pkid/hsm", "pkid/ca", "pkid/ocsp", "pkid/tidy", "pkid/goodkey"},
	"pkid/tidy":               {"pkid/store", "pkid/inventory"},
	"pkid/ca":                 {"pkid/vaultapi", "pkid/identity", "pkid/store", "pkid/inventory", "pkid/crl", "pkid/issuance", "pkid/chain", "pkid/lint", "pkid/role", "pkid/ocsp", "pkid/hsm", "pkid/goodkey", "wire"},
	"pkid/crl":                {"pkid/vaultapi", "pkid/store", "pkid/inventory", "pkid/issuance", "wire"},
	"pkid/inventory":          {"pkid/store", "pkid/issuance"},
	"pkid/ocsp":               {"pkid/issuance", "wire"},
	"pkid/role":               {"pkid/vaultapi", "pkid/identity", "pkid/issuance", "pkid/lint"},
	"pkid/token":              {"pkid/vaultapi", "pkid/store", "pkid/identity"},
	"pkid/identity":           nil,
	"pkid/policy":             {"pkid/vaultapi", "pkid/store", "pkid/identity"},
	"pkid/auditlog":           {"pkid/store"},
	"pkid/auth":               {"pkid/vaultapi", "pkid/store", "pkid/token", "pkid/mounts", "pkid/auth/*"},
	"pkid/auth/approle":       {"pkid/vaultapi", "pkid/store", "pkid/identity", "pkid/token", "pkid/auth/tokenparams"},
	"pkid/auth/cert":          {"pkid/vaultapi", "pkid/store", "pkid/identity", "pkid/token", "pkid/auth/tokenparams"},
	"pkid/auth/tokenparams":   {"pkid/vaultapi", "pkid/token"},
	"pkid/auth/jwt":           {"pkid/vaultapi", "pkid/store", "pkid/identity", "pkid/token", "pkid/auth/tokenparams"},
	"pkid/lint":               nil,
	"pkid/issuance":           {"pkid/nameconstraints", "pkid/goodkey"},
	"pkid/goodkey":            nil,
	"pkid/goodkey/debianweak": {"pkid/goodkey"},
	"pkid/nameconstraints":    nil,
	"pkid/chain":              nil,
	"pkid/hsm":                {"wire", "wire/unixsock"},
	"pkid/store":              nil,
	"pkid/store/pebblestore":  {"pkid/store"},
	"pkid/store/storetest":    {"pkid/store"},
	"pkid/store/snapshot":     {"pkid/store"},
}

// homes are the only packages that may import a module: the first path element
// that matches counts.
var homes = map[string][]string{
	"github.com/hashicorp/hcl/v2":     {"config"},
	"github.com/zclconf/go-cty":       {"config"},
	"github.com/cockroachdb/pebble":   {"pkid/store/pebblestore", "hsmd/ledger"},
	"github.com/miekg/pkcs11":         {"hsmd/pkcs11"},
	"github.com/urfave/cli":           {"config/manual", "hsmd", "pkid", "pkid/cli"},
	"github.com/fxamacker/cbor":       {"wire"},
	"github.com/titanous/rocacheck":   {"pkid/goodkey"},
	"github.com/go-jose/go-jose":      {"pkid/auth/jwt"},
	"gopkg.in/yaml.v3":                {"pkid/cli"},
	"github.com/prometheus":           {"pkid/metrics"},
	"github.com/zmap":                 {"pkid/lint"},
	"github.com/agext/levenshtein":    {"pkid/lint"},
	"github.com/hashicorp/vault":      {},
	"github.com/hashicorp/hcl":        {"pkid/policy"},
	"github.com/rogpeppe/go-internal": {},
	"github.com/coreos/go-systemd":    {"config/logging", "config/manual", "config/systemd"},
	"github.com/aws":                  {"hsmd/awskms"},
	"github.com/jackc/pgx":            {},
	"golang.org/x/mod":                {"hsmd/auditlog"},
}

// listed is what `go list` says of a package.
type listed struct {
	ImportPath string
	Standard   bool
	Imports    []string
	CgoFiles   []string
}

func goList(t *testing.T, args ...string) []listed {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Standard,Imports,CgoFiles"}, args...)...)
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatalf("go list: %v", err)
	}
	var list []listed
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := d.Decode(&p); err == io.EOF {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
}

// TestImports enforces the direction of every arrow between our packages, and
// the home of every module.
func TestImports(t *testing.T) {
	for _, p := range goList(t, "./...") {
		own := strings.TrimPrefix(p.ImportPath, module)
		if own == "test" || strings.HasPrefix(own, "test/") {
			continue
		}
		allowed, known := mayImport[own]
		if !known {
			t.Errorf("%s has no row in the table of imports", own)
		}
		for _, imported := range p.Imports {
			if ours, ok := strings.CutPrefix(imported, module); ok {
				if !matches(allowed, ours) {
					t.Errorf("%s may not import %s", own, ours)
				}
				continue
			}
			if home, ok := homeOf(imported); ok && !slices.Contains(home, own) {
				t.Errorf("%s may not import %s; its home is %v", own, imported, home)
			}
		}
	}
}

func matches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		below, ok := strings.CutSuffix(p, "*")
		return p == name || ok && strings.HasPrefix(name, below)
	})
}

// homeOf finds the longest row that the imported path is in.
func homeOf(imported string) ([]string, bool) {
	for p := imported; p != "."; p = path.Dir(p) {
		if home, ok := homes[p]; ok {
			return home, true
		}
	}
	return nil, false
}

// TestWall looks at everything that is linked into a program: pkid holds no
// PKCS#11 and no AWS, and in hsmd only one package of ours, and what it is for,
// calls C. Beside it there is what Pebble, the ledger's store, is linked with:
// malloc for its cache, and a zstd that it is not told to use. Neither loads code.
func TestWall(t *testing.T) {
	for _, p := range goList(t, "-deps", "./pkid") {
		for _, never := range []string{"pkcs11", "aws-sdk", "github.com/aws/", module + "hsmd"} {
			if strings.Contains(p.ImportPath, never) {
				t.Errorf("pkid is linked with %s", p.ImportPath)
			}
		}
	}
	var cgo []string
	for _, p := range goList(t, "-deps", "./hsmd") {
		if len(p.CgoFiles) > 0 && !p.Standard {
			cgo = append(cgo, strings.TrimPrefix(p.ImportPath, module))
		}
	}
	slices.Sort(cgo)
	allowed := []string{"hsmd/pkcs11", "github.com/miekg/pkcs11", "github.com/cockroachdb/pebble/v2/internal/manual", "github.com/DataDog/zstd"}
	for _, p := range cgo {
		if !slices.Contains(allowed, p) {
			t.Errorf("%s is linked into hsmd and calls C", p)
		}
	}
	if len(cgo) == 0 {
		t.Error("nothing in hsmd calls C: was it listed with CGO_ENABLED=0?")
	}
}
