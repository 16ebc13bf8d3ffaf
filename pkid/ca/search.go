package ca

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/hsmpki/hsmpki/pkid/inventory"
	"github.com/hsmpki/hsmpki/pkid/issuance"
	"github.com/hsmpki/hsmpki/pkid/store"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// Search is what a caller of certs/detailed asks for.
type Search struct {
	CommonName, Name, Role string
	Issuer                 string // a reference, or the id of an issuer that is gone
	// ExpiresAfter and ExpiresBefore are times (RFC 3339) or durations from now.
	ExpiresAfter, ExpiresBefore string
	Revoked                     *bool
	After                       string // what Next was, or the last serial number
	Limit                       int
}

// Found is a page of the answer. Next is empty at its end.
type Found struct {
	Certificates []inventory.Found
	Next         string
}

// maxPage bounds a page of a search.
const maxPage = 1000

// Search finds certificates by what is in them and what is known of them.
func (a *Authority) Search(ctx context.Context, s *Search) (*Found, error) {
	q, err := a.query(s)
	if err != nil {
		return nil, err
	}
	var page *inventory.Page
	err = a.cfg.Store.View(ctx, func(r store.Reader) error {
		page, err = a.inventory.Search(r, q)
		return err
	})
	if errors.Is(err, inventory.ErrPosition) {
		return nil, refuse("after: %q is no certificate of this search's answer", s.After)
	}
	if err != nil {
		return nil, err
	}
	out := &Found{Certificates: page.Found}
	if page.Next != nil {
		out.Next = base64.RawURLEncoding.EncodeToString(page.Next)
	}
	return out, nil
}

func (a *Authority) query(s *Search) (*inventory.Query, error) {
	q := &inventory.Query{CommonName: s.CommonName, Name: s.Name, Role: strings.ToLower(s.Role), Issuer: s.Issuer, Revoked: s.Revoked, Limit: s.Limit}
	if s.Limit < 1 || s.Limit > maxPage {
		return nil, refuse("limit=%d: must be 1 to %d", s.Limit, maxPage)
	}
	if i, err := a.Issuer(s.Issuer); err == nil {
		q.Issuer = i.ID
	} else if s.Issuer != "" && uuid.Validate(s.Issuer) != nil {
		return nil, err
	}
	var err error
	if q.ExpiresAfter, err = a.moment("expires_after", s.ExpiresAfter); err != nil {
		return nil, err
	}
	if q.ExpiresBefore, err = a.moment("expires_before", s.ExpiresBefore); err != nil {
		return nil, err
	}
	if !q.ExpiresBefore.IsZero() && q.ExpiresBefore.Before(q.ExpiresAfter) {
		return nil, refuse("expires_before is earlier than expires_after: nothing can match")
	}
	// Every position begins with the name of a range of keys, which in base64 is
	// no hexadecimal.
	if position, err := base64.RawURLEncoding.DecodeString(s.After); err == nil && strings.HasPrefix(string(position), "index/") {
		q.After = position
		return q, nil
	}
	if s.After != "" {
		if q.AfterSerial, err = issuance.ParseSerial(s.After); err != nil {
			return nil, refuse("after: %q is neither a serial number nor the \"next\" of an earlier answer", s.After)
		}
	}
	return q, nil
}

// moment reads a time, or a duration from now.
func (a *Authority) moment(name, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	d, err := vaultapi.ParseDuration(text)
	if err != nil {
		return time.Time{}, refuse("%s=%q: must be a time (2027-01-31T00:00:00Z) or a duration from now (720h, 30d)", name, text)
	}
	return a.cfg.Now().Add(d), nil
}
