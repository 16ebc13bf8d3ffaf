package policy_test

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/pkid/policy"
)

// TestObserved replays what a running server of the same API said of random
// policies: of a path its capabilities, and of parameters that were POSTed to a
// role below pf/roles/p whether they were let through.
func TestObserved(t *testing.T) {
	file, err := os.Open("testdata/policies.jsonl.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	text, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(text)
	d.UseNumber()
	compared := 0
	for ; ; compared++ {
		var said struct {
			Policies []string
			Ask, Got any
		}
		if err := d.Decode(&said); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		var policies []*policy.Policy
		for _, text := range said.Policies {
			p, err := policy.Parse("x", text)
			if err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			policies = append(policies, p)
		}
		acl := policy.New(policies...)
		if got := answer(acl, said.Ask); !slices.Equal(got, texts(said.Got)) {
			t.Errorf("%v: %v, the server said %v\n%s", said.Ask, got, said.Got, strings.Join(said.Policies, "\n"))
		}
	}
	if compared < 1900 {
		t.Errorf("only %d cases", compared)
	}
}

func answer(acl *policy.ACL, ask any) []string {
	parameters, is := ask.(map[string]any)
	switch {
	case !is:
		return acl.Capabilities(ask.(string))
	case acl.Allow(policy.Request{Path: "pf/roles/p0", Operation: policy.Update, Parameters: parameters}):
		return []string{"let through"}
	}
	return []string{"refused"}
}

func texts(got any) []string {
	if text, is := got.(string); is {
		return []string{text}
	}
	var all []string
	for _, v := range got.([]any) {
		all = append(all, v.(string))
	}
	return all
}
