package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/hsmd/drill"
)

func TestWhatTheDrillAdmits(t *testing.T) {
	results := []drill.Result{
		{Key: "ca", Attempt: drill.Plain, Verdict: drill.Got, Message: []byte("plain")},
		{Key: "ca", Attempt: "crl", Verdict: drill.Got, Message: []byte("crl")},
		{Key: "ca", Attempt: "digest", Verdict: drill.Refused, Words: "denied: a digest"},
	}
	untold := append(results[:len(results):len(results)], drill.Result{Attempt: "define-key", Verdict: drill.Untold, Words: "unavailable"})
	refused := []drill.Result{{Key: "ca", Attempt: drill.Plain, Verdict: drill.Refused, Words: "denied: names"}}
	for _, c := range []struct {
		what     string
		results  []drill.Result
		admitted []string
		passes   bool
		words    string
	}{
		{"all admitted", results, []string{"crl"}, true, "GOT, admitted"},
		{"one not admitted", results, nil, false, "1 got that nobody admitted"},
		{"no such attempt", results, []string{"crl", "none"}, false, "-admit=none: there is no such attempt"},
		{"an end that is not known", untold, []string{"crl"}, false, "1 whose end is not known"},
		{"the plain one refused", refused, nil, true, "ca refuses the plain certificate too"},
	} {
		var out bytes.Buffer
		err := showDrill(&out, c.results, c.admitted)
		if (err == nil) != c.passes {
			t.Errorf("%s: %v", c.what, err)
		}
		if err != nil {
			out.WriteString(err.Error())
		}
		if !strings.Contains(out.String(), c.words) {
			t.Errorf("%s: %q is not in\n%s", c.what, c.words, out.String())
		}
	}
}
