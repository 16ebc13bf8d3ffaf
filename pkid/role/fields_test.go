package role_test

import (
	"bufio"
	"crypto"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/pkid/issuance"
	"github.com/hsmpki/hsmpki/pkid/role"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// result is what came of one line of testdata/fields.txt.
type result struct {
	facts, warnings []string
	err             error
}

// TestFields reads testdata/fields.txt, in which every field of a role must
// stand, and be one of a role that is refused or refuses.
func TestFields(t *testing.T) {
	f, err := os.Open("testdata/fields.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var r *role.Role
	var last result
	var asked, written, refusing string
	refused, certified, expected := 0, 0, true
	s := bufio.NewScanner(f)
	for number := 1; s.Scan(); number++ {
		line := strings.TrimSpace(s.Text())
		kind, rest, _ := strings.Cut(line, " ")
		complain := func(format string, args ...any) {
			t.Errorf("fields.txt:%d: of %q: "+format, append([]any{number, asked}, args...)...)
		}
		if begins := kind == "role" || kind == "issue" || kind == "sign" || kind == "verbatim"; begins {
			if last.err != nil && !expected {
				complain("nobody expected: %v", last.err)
			}
			asked, expected = line, false
		}
		switch kind {
		case "", "#", "##":
			continue
		case "role":
			written = line
			r, last = writeFields(t, words(rest))
		case "issue", "sign", "verbatim":
			last = ask(t, r, kind, rest)
		case "=":
			certified++
			for _, fact := range words(rest) {
				if last.err != nil || !slices.Contains(last.facts, fact) {
					complain("no %q in %q; %v", fact, last.facts, last.err)
				}
			}
		case "-":
			for _, fact := range words(rest) {
				if slices.Contains(last.facts, fact) {
					complain("%q in %q", fact, last.facts)
				}
			}
		case "~":
			if !strings.Contains(strings.Join(last.warnings, "\n"), rest) {
				complain("no warning %q in %q; %v", rest, last.warnings, last.err)
			}
		case "!":
			refused++
			refusing += " " + written
			expected = true
			start, open := strings.CutSuffix(rest, "...")
			if last.err == nil || !open && last.err.Error() != rest || open && !strings.HasPrefix(last.err.Error(), strings.TrimSpace(start)) {
				complain("got %v, want %q", last.err, rest)
			}
		default:
			t.Fatalf("fields.txt:%d: what is %q?", number, kind)
		}
	}
	t.Logf("%d refusals, %d certificates", refused, certified)
	data, err := role.Default().Response()
	if err != nil {
		t.Fatal(err)
	}
	for field := range data {
		if field != "allow_token_displayname" && !strings.Contains(refusing, " "+field+"=") && !strings.Contains(refusing, "'"+field+"=") {
			t.Errorf("no case where %s matters to a refusal", field)
		}
	}
}

// words splits at blanks outside of single quotes.
func words(text string) []string {
	var out []string
	for i, part := range strings.Split(text, "'") {
		if i%2 == 0 {
			out = append(out, strings.Fields(part)...)
		} else {
			out = append(out, part)
		}
	}
	return out
}

func paramsOf(words []string) *vaultapi.Params {
	values := map[string]any{}
	for _, w := range words {
		name, value, _ := strings.Cut(w, "=")
		values[name] = value
	}
	return vaultapi.NewParams(values)
}

// writeFields writes a role; its facts are its own fields.
func writeFields(t *testing.T, words []string) (*role.Role, result) {
	t.Helper()
	r, warnings, err := role.FromParams(paramsOf(words))
	if err != nil {
		return nil, result{err: err}
	}
	data, err := r.Response()
	if err != nil {
		t.Fatal(err)
	}
	var facts []string
	for name, value := range data {
		facts = append(facts, fmt.Sprintf("%s=%v", name, value))
	}
	return r, result{facts: facts, warnings: warnings}
}

// ask issues or signs as pkid/api and pkid/ca do.
func ask(t *testing.T, r *role.Role, kind, rest string) result {
	t.Helper()
	if r == nil {
		t.Fatal("asked under a role that was refused")
	}
	request, api, _ := strings.Cut(rest, "|")
	var csr *role.CSR
	if kind == "issue" {
		request, api = "", rest
	} else {
		csr = wordsCSR(t, words(request))
	}
	p := paramsOf(words(api))
	wish, verbatim := role.ReadWish(p), role.ReadVerbatim(p)
	if err := p.Err(); err != nil {
		return result{err: err}
	}
	at := terms(t)
	var req *issuance.Request
	var out result
	var public crypto.PublicKey
	switch kind {
	case "issue":
		keyType, bits, err := r.LeafKey(wish)
		if err != nil {
			return result{err: err}
		}
		public = leafKeys()[fmt.Sprint(keyType, bits)].Public()
		req, out.warnings, out.err = r.Request(wish, nil, at)
	case "sign":
		req, out.warnings, out.err = r.Request(wish, csr, at)
	case "verbatim":
		req, out.warnings, out.err = role.VerbatimRequest(r, verbatim, csr, at)
	}
	if out.err != nil {
		return out
	}
	if public != nil {
		req.PublicKey = public
	}
	prepared, err := observedIssuer(t).Prepare(req, at.Now)
	if err != nil {
		return result{err: err}
	}
	_, cert, err := observedIssuer(t).Issue(prepared, rootKey.(crypto.MessageSigner))
	if err != nil {
		t.Fatal(err)
	}
	out.facts = append(factsOf(t, cert), fmt.Sprint("hash=", max(req.SignatureBits, 256)))
	if req.PSS {
		out.facts = append(out.facts, "pss")
	}
	return out
}
