package softhsm_test

import (
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/test/softhsm"
)

func TestTokensAreApart(t *testing.T) {
	a, b := softhsm.New(t), softhsm.New(t)
	a.Tool(t, "--keypairgen", "--key-type", "EC:prime256v1", "--label", "one", "--id", "01")
	if out := a.Tool(t, "--list-objects", "--type", "privkey"); !strings.Contains(out, "one") {
		t.Errorf("the key is not there:\n%s", out)
	}
	if out := b.Tool(t, "--list-objects", "--type", "privkey"); strings.Contains(out, "one") {
		t.Errorf("the key is in the other token:\n%s", out)
	}
	twin := a.Add(t, a.Label)
	if twin.Slot == a.Slot || twin.Serial == a.Serial {
		t.Errorf("the second token is the first: slot %d, serial %s", twin.Slot, twin.Serial)
	}
}
