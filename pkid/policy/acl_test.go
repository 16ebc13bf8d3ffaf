package policy_test

import (
	"fmt"
	"testing"

	"github.com/hsmpki/hsmpki/pkid/policy"
)

// TestReaches: which rules let one know of the mount team/pki/.
func TestReaches(t *testing.T) {
	for path, want := range map[string]bool{
		"team/pki/issue/web": true, "team/pki/*": true, "team/*": true, "*": true, "team/pk*": true, "team/pki/issue/*": true, "team/pki": false, "team/pki2/*": false,
		"team/+/issue/web": true, "+/pki/roles": true, "+/+": false, "+/+/": true, "+/+/ca": true, "+/pk*": true, "+/ssh/*": false, "+/issue/*": false, "team/+/*": true,
		"pki/*": false, "team/pki/+": true, "+/*": true, "+/+/*": true, "+": false,
	} {
		for capabilities, granted := range map[string]bool{`"read"`: true, `"deny"`: false} {
			p, err := policy.Parse("p", fmt.Sprintf("path %q { capabilities = [%s] }", path, capabilities))
			if err != nil {
				t.Fatal(err)
			}
			if got := policy.New(p).Reaches("team/pki/"); got != (want && granted) {
				t.Errorf("%s, %s: %v", path, capabilities, got)
			}
		}
	}
	if !policy.New(&policy.Policy{Name: policy.Root}).Reaches("team/pki/") || policy.New().Reaches("team/pki/") {
		t.Error("root does not reach, or nobody does")
	}
}
