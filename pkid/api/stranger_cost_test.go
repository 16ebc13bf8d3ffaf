package api_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestCostOfOnePath: what a stranger's path costs does not grow with the square
// of its length, however often it could begin an OCSP query.
func TestCostOfOnePath(t *testing.T) {
	s := serve(t, noHSM)
	path := strings.Repeat("ocsp/", 12000) + "x"
	objects := testing.AllocsPerRun(1, func() {
		if got := s.askAsStranger(t, "GET", path, ""); got.Status != 414 {
			t.Errorf("%d %s, want 414", got.Status, got.Body)
		}
	})
	if objects > 5000 {
		t.Errorf("a path of %d octets costs %.0f objects", len(path), objects)
	}
}

// TestManyRanges: a client that asks for many pieces of a CRL in one request,
// each of which would be looked up by itself, gets the whole.
func TestManyRanges(t *testing.T) {
	s := start(t)
	s.ca(t)
	whole := s.askAsStranger(t, "GET", "pki/crl", "")
	if got := s.askAsStranger(t, "GET", "pki/crl", "", "Range", "bytes=2-5"); got.Status != 206 || got.Body != whole.Body[2:6] {
		t.Errorf("a range: %d %x", got.Status, got.Body)
	}
	if got := s.askAsStranger(t, "GET", "pki/crl", "", "Range", "bytes=0-0,2-2,0-0,2-2"); got.Status != 200 || got.Body != whole.Body {
		t.Errorf("many ranges: %d %v", got.Status, got.Header)
	}
}

// A stranger who logs in is recorded, whatever he sends: that must not be much.
func TestStrangerInTheLog(t *testing.T) {
	s := serve(t, noHSM)
	s.do(t, "POST", "sys/auth/approle", `{"type":"approle"}`)
	var many strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&many, `,"p%d":1`, i)
	}
	for _, body := range []string{
		`{"role_id":"x","secret_id":"y"` + many.String() + `}`,
		`{"role_id":"x","secret_id":"y","role":"` + strings.Repeat("r", 15<<10) + `"}`,
	} {
		var a *answer
		asked, _, text := s.during(t, func() { a = s.askAsStranger(t, "POST", "auth/approle/login", body) })
		if a.Status != 400 || len(text) > 4<<10 || asked.Request.Data["elided"] == nil {
			t.Errorf("%d, %d octets in the log", a.Status, len(text))
		}
	}
	large := `{"role_id":"x","secret_id":"` + strings.Repeat("y", 200<<10) + `"}`
	if a := s.askAsStranger(t, "POST", "auth/approle/login", large); a.Status != 413 {
		t.Errorf("a large body: %d", a.Status)
	}
}
