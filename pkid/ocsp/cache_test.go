package ocsp_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	xocsp "golang.org/x/crypto/ocsp"

	"github.com/hsmpki/hsmpki/pkid/ocsp"
)

func TestKeptUntilItChanges(t *testing.T) {
	a := newAuthority(start)
	i, other := a.issuer(t, "Root", "P-256", 0, year), a.issuer(t, "Other", "P-256", 0, year)
	r := a.open(t)
	leaf, foreign := a.leaf(t, i).SerialNumber, a.leaf(t, other).SerialNumber
	both := about(t, i, leaf, big.NewInt(9))
	a.status("Root", big.NewInt(9), ocsp.Status{State: ocsp.Good})
	fresh := func(what string, q *query, want bool) {
		t.Helper()
		before := a.signed
		wantStatus(t, what, ask(t, r, q), ocsp.Successful)
		if got := a.signed > before; got != want {
			t.Errorf("%s: signed anew is %v, want %v", what, got, want)
		}
	}
	fresh("the first", about(t, i, leaf), true)
	fresh("the same", about(t, i, leaf), false)
	fresh("two at once", both, true)
	fresh("the same two", both, false)
	withNonce := about(t, i, leaf)
	withNonce.list = nonce(8)
	fresh("with a nonce", withNonce, true)
	fresh("with the same nonce", withNonce, true)
	fresh("never issued", about(t, i, big.NewInt(1000)), true)
	fresh("never issued, again", about(t, i, big.NewInt(1000)), true)

	a.status("Other", foreign, ocsp.Status{State: ocsp.Revoked, RevokedAt: start})
	fresh("another issuer revoked", about(t, i, leaf), false)
	a.status("Root", big.NewInt(9), ocsp.Status{State: ocsp.Revoked, RevokedAt: start})
	fresh("another certificate revoked", about(t, i, leaf), false)
	fresh("one of two revoked", both, true)
	fresh("one of two revoked, again", both, false)
	a.status("Root", leaf, ocsp.Status{State: ocsp.Revoked, RevokedAt: start})
	fresh("revoked", about(t, i, leaf), true)
	if got := parse(t, ask(t, r, about(t, i, leaf)), leaf, i.Certificate); got.Status != xocsp.Revoked {
		t.Errorf("status %d", got.Status)
	}
	a.pass(6*time.Hour - time.Minute)
	fresh("before half of its life", about(t, i, leaf), false)
	a.pass(2 * time.Minute)
	fresh("after half of its life", about(t, i, leaf), true)
	a.set(func(v *ocsp.View) { v.Expiry = time.Hour })
	fresh("another setting", about(t, i, leaf), true)
}

// TestKeptUnderItsView: what was being signed when the settings changed is not
// kept under those that came.
func TestKeptUnderItsView(t *testing.T) {
	a := newAuthority(start)
	i := a.issuer(t, "Root", "P-256", 0, year)
	r := a.open(t)
	leaf, other := a.leaf(t, i).SerialNumber, a.leaf(t, i).SerialNumber
	ask(t, r, about(t, i, other)) // the responder has its certificate
	a.meanwhile = func() {
		a.set(func(v *ocsp.View) { v.Expiry = time.Hour })
		ask(t, r, about(t, i, other))
	}
	ask(t, r, about(t, i, leaf))
	if got := parse(t, ask(t, r, about(t, i, leaf)), leaf, i.Certificate); got.NextUpdate.After(start.Add(time.Hour)) {
		t.Errorf("an answer until %v, when ocsp_expiry is an hour from %v", got.NextUpdate, start)
	}
}

func TestCacheIsBounded(t *testing.T) {
	a := newAuthority(start)
	i := a.issuer(t, "Root", "P-256", 0, year)
	r, err := ocsp.New(ocsp.Config{Source: a, Keys: a, Now: a.clock, Log: slog.New(slog.DiscardHandler), CacheBytes: 20 << 10})
	if err != nil {
		t.Fatal(err)
	}
	for n := range 50 {
		a.status("Root", big.NewInt(int64(n+1)), ocsp.Status{State: ocsp.Good})
	}
	signed := func(n int64) int {
		before := a.signed
		wantStatus(t, "one of many", ask(t, r, about(t, i, big.NewInt(n))), ocsp.Successful)
		return a.signed - before
	}
	for n := range 50 {
		signed(int64(n + 1))
		signed(1)
	}
	if signed(1) != 0 || signed(50) != 0 || signed(2) != 1 {
		t.Error("not the answers went that were asked for the longest ago")
	}
}

func TestNonceIsLimited(t *testing.T) {
	a := newAuthority(start)
	i := a.issuer(t, "Root", "P-256", 0, year)
	r := a.open(t)
	leaf := a.leaf(t, i).SerialNumber
	withNonce := about(t, i, leaf)
	withNonce.list = nonce(8)
	count := func(remote string, q *query) (n int) {
		for range 250 {
			if r.Respond(context.Background(), q.der(), remote).Status == ocsp.Successful {
				n++
			}
		}
		return n
	}
	if n := count("192.0.2.1:77", withNonce); n != 100 {
		t.Errorf("%d answers with a nonce at once, want 100", n)
	}
	over := r.Respond(context.Background(), withNonce.der(), "192.0.2.1:78")
	wantStatus(t, "over the limit", over, ocsp.TryLater)
	if over.HTTPStatus() != http.StatusTooManyRequests || over.Header(true, start).Get("Retry-After") != "1" {
		t.Errorf("over the limit: %d, %v", over.HTTPStatus(), over.Header(true, start))
	}
	if n := count("192.0.2.1:77", about(t, i, big.NewInt(1000))); n != 0 {
		t.Errorf("%d answers about serial numbers made up, over the limit", n)
	}
	if n := count("192.0.2.1:77", about(t, i, leaf, leaf)); n != 0 {
		t.Errorf("%d answers about two at once, over the limit", n)
	}
	if n := count("192.0.2.1:77", about(t, i, leaf)); n != 250 {
		t.Errorf("%d answers that need no signature, want all", n)
	}
	if n := count("[2001:db8::1]:1", withNonce) + count("[2001:db8::2]:1", withNonce); n != 100 {
		t.Errorf("%d answers for one /64, want 100", n)
	}
	a.pass(2 * time.Second)
	if n := count("192.0.2.1:77", withNonce); n != 20 {
		t.Errorf("%d answers after two seconds, want 20", n)
	}

	// The table is full of sources that have asked just now: others share.
	for n := range 9000 {
		r.Respond(context.Background(), withNonce.der(), fmt.Sprintf("10.1.%d.%d:1", n/256, n%256))
	}
	if n := count("198.51.100.1:1", withNonce) + count("198.51.100.2:1", withNonce); n != 0 {
		t.Errorf("%d answers for sources beyond the table", n)
	}
	a.pass(time.Minute)
	if n := count("198.51.100.1:1", withNonce); n != 100 {
		t.Errorf("%d answers a minute later, want 100", n)
	}
}

func TestHeaders(t *testing.T) {
	a := newAuthority(start)
	i := a.issuer(t, "Root", "P-256", 0, year)
	r := a.open(t)
	q := about(t, i, a.leaf(t, i).SerialNumber)
	response := ask(t, r, q)
	h := response.Header(true, start.Add(time.Hour))
	for name, want := range map[string]string{
		"Content-Type": "application/ocsp-response", "Cache-Control": "max-age=17999, public, no-transform, must-revalidate",
		"Last-Modified": "Tue, 24 Nov 2026 12:00:00 GMT", "Expires": "Wed, 25 Nov 2026 00:00:00 GMT",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	etag := h.Get("ETag")
	if len(etag) != 66 || !response.Matches(etag) || !response.Matches(`"a", W/`+etag) || !response.Matches("*") || response.Matches(`"a"`) || response.Matches("") {
		t.Errorf("ETag %s", etag)
	}
	if h := response.Header(true, start.Add(8*time.Hour)); !strings.HasPrefix(h.Get("Cache-Control"), "max-age=0,") {
		t.Errorf("after half of its life: %v", h)
	}
	q.list = nonce(8)
	for what, h := range map[string]http.Header{
		"POST": response.Header(false, start), "nonce": ask(t, r, q).Header(true, start),
		"never issued": ask(t, r, about(t, i, big.NewInt(99))).Header(true, start), "malformed": r.Respond(context.Background(), nil, "").Header(true, start),
	} {
		if h.Get("Cache-Control") != "no-store" || h.Get("ETag") != "" {
			t.Errorf("%s: %v", what, h)
		}
	}
	if again := ask(t, r, about(t, i, big.NewInt(99))); bytes.Equal(again.DER, response.DER) || again.Matches("*") {
		t.Error("what is not to be shared matches")
	}
}
