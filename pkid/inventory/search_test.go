package inventory_test

import (
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/pkid/inventory"
	"github.com/hsmpki/hsmpki/pkid/store"
)

// kept is what the model knows of a certificate.
type kept struct {
	serial       int64
	issuer, role string
	names        []string // the first is the common name
	notAfter     time.Time
	revoked      bool
}

// fill stores certificates of few names, issuers and roles, so that queries
// match many.
func fill(t *testing.T, s store.Store, n int) []kept {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	hosts := []string{"www.example.com", "api.example.com", "a.b.example.com", "example.com", "*.example.com", "example.org", "notexample.com", "WWW.Example.org"}
	var all []kept
	for serial := int64(1); serial <= int64(n); serial++ {
		k := kept{serial: serial, issuer: fmt.Sprint("i", random.IntN(2)), role: []string{"web", "web2", ""}[random.IntN(3)],
			notAfter: now.Add(time.Duration(random.IntN(20)) * time.Hour), revoked: random.IntN(4) == 0}
		for _, i := range random.Perm(len(hosts))[:1+random.IntN(3)] {
			k.names = append(k.names, hosts[i])
		}
		c := certificate(t, serial, k.notAfter, k.names...)
		update(t, s, func(tx store.Tx) error {
			if err := ours.Put(tx, &inventory.Certificate{DER: c.Raw, Issuer: k.issuer, Group: group, Role: k.role, IssuedAt: now}, c); err != nil || !k.revoked {
				return err
			}
			_, err := ours.Revoke(tx, &inventory.Revocation{Serial: c.SerialNumber, Issuer: k.issuer, Group: group, NotAfter: k.notAfter, At: now})
			return err
		})
		all = append(all, k)
	}
	return all
}

// wanted is what a query means, said without indexes.
func wanted(q *inventory.Query, k kept) bool {
	named := func(want string, names []string) bool {
		return want == "" || slices.ContainsFunc(names, func(n string) bool {
			n = strings.ToLower(n)
			if domain, ok := strings.CutPrefix(want, "*."); ok {
				return strings.HasSuffix(n, "."+domain)
			}
			return n == want
		})
	}
	return named(q.Name, k.names) && (q.CommonName == "" || strings.EqualFold(q.CommonName, k.names[0])) &&
		(q.Issuer == "" || q.Issuer == k.issuer) && (q.Role == "" || q.Role == k.role) && (q.Revoked == nil || *q.Revoked == k.revoked) &&
		(q.ExpiresAfter.IsZero() || !k.notAfter.Before(q.ExpiresAfter)) && (q.ExpiresBefore.IsZero() || k.notAfter.Before(q.ExpiresBefore))
}

// TestSearch compares each combination of conditions with a plain search, in
// pages of several sizes, going on by position and by serial number.
func TestSearch(t *testing.T) {
	s := open(t)
	all := fill(t, s, 120)
	yes, no := true, false
	for _, name := range []string{"", "www.example.com", "*.example.com", "www.example.org", "nobody.test"} {
		for _, cn := range []string{"", "API.example.com"} {
			for _, role := range []string{"", "web"} {
				for _, issuer := range []string{"", "i1"} {
					for _, revoked := range []*bool{nil, &yes, &no} {
						for _, from := range []time.Time{{}, now.Add(7 * time.Hour)} {
							q := inventory.Query{Name: name, CommonName: cn, Role: role, Issuer: issuer, Revoked: revoked, ExpiresAfter: from, Limit: 7}
							if role != "" {
								q.ExpiresBefore = now.Add(15 * time.Hour)
							}
							compare(t, s, q, all)
						}
					}
				}
			}
		}
	}
}

func compare(t *testing.T, s store.Store, q inventory.Query, all []kept) {
	t.Helper()
	var want []int64
	for _, k := range all {
		if wanted(&q, k) {
			want = append(want, k.serial)
		}
	}
	for _, bySerial := range []bool{false, true} {
		var got []int64
		page := q
		for more := true; more; {
			view(t, s, func(r store.Reader) error {
				p, err := ours.Search(r, &page)
				if err != nil {
					t.Fatalf("%+v: %v", q, err)
				}
				if len(p.Found) > q.Limit || p.Next != nil && len(p.Found) == 0 {
					t.Fatalf("%+v: a page of %d", q, len(p.Found))
				}
				for _, f := range p.Found {
					got = append(got, f.Serial.Int64())
				}
				if more = p.Next != nil; more {
					page.After = p.Next
					if bySerial {
						page.After, page.AfterSerial = nil, p.Found[len(p.Found)-1].Serial
					}
				}
				return nil
			})
		}
		if !strings.HasPrefix(q.Name, "*") {
			for i := 1; i < len(got); i++ {
				if all[got[i]-1].notAfter.Before(all[got[i-1]-1].notAfter) {
					t.Errorf("%+v: %d comes before %d", q, got[i-1], got[i])
				}
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%+v, by serial number %v:\ngot  %v\nwant %v", q, bySerial, got, want)
		}
	}
}

// TestSearchPositions refuses positions that are of another query, or nowhere.
func TestSearchPositions(t *testing.T) {
	s := open(t)
	fill(t, s, 30)
	view(t, s, func(r store.Reader) error {
		byRole, err := ours.Search(r, &inventory.Query{Role: "web", Limit: 1})
		if err != nil || byRole.Next == nil {
			t.Fatalf("%+v, %v", byRole, err)
		}
		for _, q := range []inventory.Query{
			{Issuer: "i0", After: byRole.Next},
			{After: inventory.Position("x")},
			{After: inventory.Position("zz")},
			{AfterSerial: big.NewInt(999)},
		} {
			q.Limit = 1
			if _, err := ours.Search(r, &q); !errors.Is(err, inventory.ErrPosition) {
				t.Errorf("%+v: %v", q, err)
			}
		}
		return nil
	})
}
