package policy_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/hsmpki/hsmpki/pkid/identity"
	"github.com/hsmpki/hsmpki/pkid/policy"
)

var operations = map[string]policy.Capability{
	"create": policy.Create, "read": policy.Read, "update": policy.Update, "delete": policy.Delete,
	"list": policy.List, "patch": policy.Patch, "recover": policy.Recover,
}

// TestCases holds the specification in testdata: policies, and after them what
// is expected of them together.
func TestCases(t *testing.T) {
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatal("no cases", err)
	}
	for _, name := range archives {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var policies []*policy.Policy
		var wrong error
		var of string
		for _, file := range archive.Files {
			if file.Name != "expect" {
				of = file.Name
				p, err := policy.Parse(strings.Split(file.Name, ".")[0], string(file.Data))
				if err != nil {
					wrong = err
					continue
				}
				policies = append(policies, p)
				continue
			}
			acl := policy.New(policies...)
			for line := range strings.Lines(string(file.Data)) {
				if who, is := strings.CutPrefix(line, "as "); is {
					acl = aclFor(policies, strings.Fields(who))
					continue
				}
				expect(t, filepath.Base(name)+" "+of, acl, wrong, strings.TrimSpace(line))
			}
			policies, wrong = nil, nil
		}
	}
}

// aclFor is what policies say together for an accessor, a name, and metadata as
// KEY=VALUE, or for "nobody".
func aclFor(policies []*policy.Policy, who []string) *policy.ACL {
	var alias *identity.Alias
	if len(who) > 1 {
		alias = &identity.Alias{Accessor: who[0], Name: strings.Trim(who[1], `"`), Metadata: map[string]string{}}
		for _, field := range who[2:] {
			key, value, _ := strings.Cut(field, "=")
			alias.Metadata[key] = value
		}
	}
	return policy.Merge(alias, policies...)
}

// expect holds one line of an expect file:
//
//	allow|refuse OPERATION PATH [sudo] [wrap=TTL] [{parameters}]
//	can PATH: CAPABILITY, …
//	as ACCESSOR NAME KEY=VALUE…, as nobody: of whom the lines that follow are
//	wrong: the start of an error, or what follows its "path "…": "
func expect(t *testing.T, where string, acl *policy.ACL, wrong error, line string) {
	t.Helper()
	if text, is := strings.CutPrefix(line, "wrong:"); is {
		if wrong == nil || !strings.Contains(wrong.Error(), strings.TrimSpace(text)) {
			t.Errorf("%s: error %v, want %q", where, wrong, text)
		}
		return
	}
	if wrong != nil {
		t.Errorf("%s: %v", where, wrong)
		return
	}
	if text, is := strings.CutPrefix(line, "can "); is {
		path, want, _ := strings.Cut(text, ": ")
		if got := strings.Join(acl.Capabilities(path), ", "); got != want {
			t.Errorf("%s: %s: %s, want %s", where, path, got, want)
		}
		return
	}
	words, parameters, some := strings.Cut(line, " {")
	fields := strings.Fields(words)
	if len(fields) < 3 || operations[fields[1]] == 0 || fields[0] != "allow" && fields[0] != "refuse" {
		t.Fatalf("%s: what does %q mean?", where, line)
	}
	r := policy.Request{Operation: operations[fields[1]], Path: fields[2]}
	for _, option := range fields[3:] {
		if ttl, is := strings.CutPrefix(option, "wrap="); is {
			var err error
			if r.WrapTTL, err = time.ParseDuration(ttl); err != nil {
				t.Fatal(err)
			}
		} else if r.Sudo = option == "sudo"; !r.Sudo {
			t.Fatalf("%s: what does %q mean?", where, option)
		}
	}
	if some {
		d := json.NewDecoder(strings.NewReader("{" + parameters))
		d.UseNumber()
		if err := d.Decode(&r.Parameters); err != nil {
			t.Fatalf("%s: %s: %v", where, line, err)
		}
	}
	if acl.Allow(r) != (fields[0] == "allow") {
		t.Errorf("%s: not so: %s", where, line)
	}
}

// FuzzParse: no text brings the parser down, and what is parsed can be asked.
func FuzzParse(f *testing.F) {
	archives, _ := filepath.Glob("testdata/*.txtar")
	for _, name := range archives {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range archive.Files {
			f.Add(string(file.Data), "pki/issue/web")
		}
	}
	f.Add(strings.Repeat("a{", 1000), "a")
	f.Fuzz(func(t *testing.T, text, path string) {
		p, err := policy.Parse("x", text)
		if err != nil {
			return
		}
		acl := policy.Merge(&identity.Alias{Accessor: "a", Name: path}, p)
		acl.Capabilities(path)
		acl.Allow(policy.Request{Path: path, Operation: policy.List})
	})
}

// TestDepth: for each bracket the parser calls itself, and on its way back
// writes the error anew; so deep nesting must not come as far as there.
func TestDepth(t *testing.T) {
	for _, text := range []string{
		strings.Repeat("a{", 64<<10), "a=" + strings.Repeat("[", 128<<10-2), `{"a":` + strings.Repeat("[", 128<<10-5), strings.Repeat(`{"a":`, 26214),
		strings.Repeat(`{"a":`, 20000) + "1" + strings.Repeat("}", 20000),
	} {
		if _, err := policy.Parse("x", text); err == nil {
			t.Errorf("%.10s…: parsed", text)
		}
	}
	if _, err := policy.Parse("x", strings.Repeat(" ", 128<<10+1)); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("a policy that is too long: %v", err)
	}
}
