package ocsp_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"encoding/asn1"
	"encoding/base64"
	"math/big"
	"net/url"
	"strings"
	"testing"

	xocsp "golang.org/x/crypto/ocsp"

	"github.com/hsmpki/hsmpki/pkid/ocsp"
)

// withQuery runs each on an authority whose one certificate is good.
func withQuery(t *testing.T, each func(r *ocsp.Responder, fresh func() *query)) {
	t.Helper()
	a := newAuthority(start)
	i := a.issuer(t, "Root", "P-256", 0, year)
	leaf := a.leaf(t, i).SerialNumber
	each(a.open(t), func() *query { return about(t, i, leaf) })
}

var otherOID = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 7}

func TestRequests(t *testing.T) {
	withQuery(t, func(r *ocsp.Responder, fresh func() *query) {
		id := func(old, new string) func(*query) {
			return func(q *query) { q.certs[0] = bytes.Replace(q.certs[0], []byte(old), []byte(new), 1) }
		}
		raw := func(value string) []byte { return sequence(extension(nonceOID, false, []byte(value))) }
		for _, c := range []struct {
			what   string
			change func(*query)
			status ocsp.ResponseStatus
		}{
			{"plain", func(*query) {}, ocsp.Successful},
			{"version 1 written out", func(q *query) { q.version = []byte{2, 1, 0} }, ocsp.Successful},
			{"version 2", func(q *query) { q.version = []byte{2, 1, 1} }, ocsp.MalformedRequest},
			{"requestor", func(q *query) { q.requestor = []byte{0x82, 1, 'a'} }, ocsp.Successful},
			{"signed", func(q *query) { q.signature = sequence(sequence()) }, ocsp.Successful},
			{"no certificate", func(q *query) { q.certs = nil }, ocsp.MalformedRequest},
			{"32 certificates", func(q *query) { q.certs = repeat(q.certs[0], 32) }, ocsp.Successful},
			{"33 certificates", func(q *query) { q.certs = repeat(q.certs[0], 33) }, ocsp.MalformedRequest},
			{"nonce of 1 octet", func(q *query) { q.list = nonce(1) }, ocsp.Successful},
			{"nonce of 128 octets", func(q *query) { q.list = nonce(128) }, ocsp.Successful},
			{"critical nonce", func(q *query) { q.list = sequence(extension(nonceOID, true, []byte{4, 1, 1})) }, ocsp.Successful},
			{"nonce of 0 octets", func(q *query) { q.list = nonce(0) }, ocsp.MalformedRequest},
			{"nonce of 129 octets", func(q *query) { q.list = nonce(129) }, ocsp.MalformedRequest},
			{"nonce that is no OCTET STRING", func(q *query) { q.list = raw("\x02\x01\x01") }, ocsp.MalformedRequest},
			{"nonce with octets after it", func(q *query) { q.list = raw("\x04\x01\x01\x00") }, ocsp.MalformedRequest},
			{"two nonces", func(q *query) {
				q.list = sequence(extension(nonceOID, false, []byte{4, 1, 1}), extension(nonceOID, false, []byte{4, 1, 1}))
			}, ocsp.MalformedRequest},
			{"nonce of a single request", func(q *query) { q.single = nonce(8) }, ocsp.MalformedRequest},
			{"extension", func(q *query) {
				q.list, q.single = sequence(extension(otherOID, false, nil)), sequence(extension(otherOID, false, nil))
			}, ocsp.Successful},
			{"critical extension", func(q *query) { q.list = sequence(extension(otherOID, true, nil)) }, ocsp.MalformedRequest},
			{"critical extension of a single request", func(q *query) { q.single = sequence(extension(otherOID, true, nil)) }, ocsp.MalformedRequest},
			{"extensions that are no list", func(q *query) { q.list = []byte{5, 0} }, ocsp.MalformedRequest},
			{"hash without parameters", func(q *query) {
				// 30 09 06 05 … 05 00 becomes 30 07 06 05 …, two octets less.
				q.certs[0] = bytes.Replace(q.certs[0], []byte("\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00"), []byte("\x30\x07\x06\x05\x2b\x0e\x03\x02\x1a"), 1)
				q.certs[0][1] -= 2
			}, ocsp.Successful},
			{"hash with other parameters", id("\x1a\x05\x00", "\x1a\x04\x00"), ocsp.MalformedRequest},
			{"a hash of another length", id("\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00\x04\x14", "\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00\x04\x15"), ocsp.MalformedRequest},
			{"SHA-1 under another hash's name", func(q *query) {
				q.certs[0] = sequence(sequence([]byte("\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00")), q.certs[0][13:])
			}, ocsp.MalformedRequest},
		} {
			q := fresh()
			c.change(q)
			wantStatus(t, c.what, ask(t, r, q), c.status)
		}
		sound := fresh().der()
		for end := range sound {
			wantStatus(t, "cut short", r.Respond(context.Background(), sound[:end], ""), ocsp.MalformedRequest)
		}
		long := fresh()
		long.list = sequence(extension(otherOID, false, make([]byte, ocsp.MaxRequest)))
		for what, der := range map[string][]byte{"an octet after the end": append(bytes.Clone(sound), 0), "too long": long.der(), "text": []byte("hello")} {
			wantStatus(t, what, r.Respond(context.Background(), der, ""), ocsp.MalformedRequest)
		}
	})
}

func repeat(id []byte, n int) (out [][]byte) {
	for range n {
		out = append(out, id)
	}
	return out
}

func TestSerials(t *testing.T) {
	a := newAuthority(start)
	i := a.issuer(t, "Root", "P-256", 0, year)
	r := a.open(t)
	with := func(number string) *query {
		q := about(t, i, big.NewInt(0x11))
		body := q.certs[0][2 : len(q.certs[0])-3]
		q.certs[0] = sequence(body, append([]byte{2, byte(len(number))}, number...))
		return q
	}
	a.status("Root", big.NewInt(0x80), ocsp.Status{State: ocsp.Good})
	if got := parse(t, ask(t, r, with("\x00\x80")), big.NewInt(0x80), i.Certificate); got.Status != xocsp.Good {
		t.Errorf("a number with the sign bit: %d", got.Status)
	}
	for _, number := range []string{"", "\x00\x01", "\xff\x80", strings.Repeat("a", 65)} {
		wantStatus(t, "serial "+number, ask(t, r, with(number)), ocsp.MalformedRequest)
	}
	wantStatus(t, "64 octets", ask(t, r, with(strings.Repeat("a", 64))), ocsp.Successful)
}

func TestPaths(t *testing.T) {
	withQuery(t, func(_ *ocsp.Responder, fresh func() *query) {
		slashes := 0
		for n := range 200 {
			q := fresh()
			value := make([]byte, 16+n%4)
			if n > 0 { // the first is all slashes
				rand.Read(value)
			} else {
				copy(value, bytes.Repeat([]byte{0xff}, len(value)))
			}
			q.list = sequence(extension(nonceOID, false, append([]byte{4, byte(len(value))}, value...)))
			der := q.der()
			std := base64.StdEncoding.EncodeToString(der)
			slashes += strings.Count(std, "//")
			for what, path := range map[string]string{
				"escaped": url.QueryEscape(std), "path-escaped": url.PathEscape(std), "bare": std, "without padding": strings.TrimRight(std, "="),
				"base64url": base64.URLEncoding.EncodeToString(der), "base64url without padding": base64.RawURLEncoding.EncodeToString(der),
				"a slash before": "/" + std, "plus as blank": strings.ReplaceAll(std, "+", "%20"),
			} {
				if got, err := ocsp.DecodePath(path); err != nil || !bytes.Equal(got, der) {
					t.Fatalf("%s: %q gives %x, %v", what, path, got, err)
				}
			}
		}
		if slashes == 0 {
			t.Error("no // among 200 queries")
		}
	})
	for _, path := range []string{"%zz", "MEIw!", "ME%0AIw", "a", strings.Repeat("A", 12000), "ME%00Iw"} {
		if got, err := ocsp.DecodePath(path); err == nil {
			t.Errorf("%q gives %x", path, got)
		}
	}
}

// FuzzRequest holds the answer to whatever is asked to the rules: there is one,
// it is signed where it is of a certificate, and x/crypto/ocsp reads what it
// read in the query.
func FuzzRequest(f *testing.F) {
	a := newAuthority(start)
	i := a.issuer(f, "Root", "P-256", 0, year)
	a.set(func(v *ocsp.View) { v.UnissuedGood = true })
	r := a.open(f)
	q := about(f, i, big.NewInt(5), big.NewInt(1<<40))
	f.Add(q.der())
	q.list, q.version, q.requestor, q.signature, q.single = nonce(32), []byte{2, 1, 0}, []byte{0x82, 1, 'a'}, sequence(), sequence(extension(otherOID, false, nil))
	q.certs = append(q.certs, certID(f, i.Certificate, big.NewInt(7), crypto.SHA512))
	f.Add(q.der())
	f.Fuzz(func(t *testing.T, der []byte) {
		got := r.Respond(context.Background(), der, "192.0.2.1:1")
		switch got.Status {
		case ocsp.Successful:
			asked, err := xocsp.ParseRequest(der)
			if err != nil {
				return // of what x/crypto does not read: a version, a hash of another kind
			}
			parse(t, got, asked.SerialNumber, i.Certificate)
		case ocsp.MalformedRequest, ocsp.Unauthorized, ocsp.TryLater:
		default:
			t.Errorf("%x: status %d", der, got.Status)
		}
	})
}

func FuzzPath(f *testing.F) {
	for _, path := range []string{"MEIw%2F%2B==", "MEIw//+=", "ME-_", "/MEIw", "%", "ME%20Iw"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		der, err := ocsp.DecodePath(path)
		if err != nil {
			return
		}
		again, err := ocsp.DecodePath(url.PathEscape(base64.StdEncoding.EncodeToString(der)))
		if err != nil || !bytes.Equal(again, der) {
			t.Errorf("%q gives %x, and that %x (%v)", path, der, again, err)
		}
	})
}
