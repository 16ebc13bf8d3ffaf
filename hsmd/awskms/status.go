package awskms

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/hsmpki/hsmpki/wire"
)

// Status implements [wire.Service]: KMS as one library, in which each account and
// region is a token. Nobody is asked; what is said is what requests have met.
func (s *Service) Status(context.Context, *wire.StatusRequest) (*wire.StatusResponse, error) {
	l := wire.LibraryStatus{Name: "awskms"}
	for id, a := range s.used() {
		region := id.region
		if a != nil {
			region = a.region()
			if since, why := a.presence.away(); why != nil {
				l.Fault = wire.FaultOf(why)
				l.Away = append(l.Away, wire.BreakerStatus{Token: region, State: "open", Since: since.Unix(), Fault: l.Fault})
			}
		}
		l.Tokens = append(l.Tokens, wire.TokenStatus{Label: cmp.Or(region, "default region"), Serial: id.endpoint, Model: "AWS KMS"})
	}
	slices.SortFunc(l.Tokens, func(a, b wire.TokenStatus) int {
		return cmp.Or(strings.Compare(a.Label, b.Label), strings.Compare(a.Serial, b.Serial))
	})
	return &wire.StatusResponse{Libraries: []wire.LibraryStatus{l}}, nil
}

// used are the accounts that keys name; nil for one that was not used yet.
func (s *Service) used() map[identity]*account {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[identity]*account{}
	for _, k := range s.keys {
		id := identityOf(k.aws)
		all[id] = s.accounts[id]
	}
	return all
}

// region is the one that is asked, which the surroundings may have said.
func (a *account) region() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.chain != nil {
		return a.chain.config.Region
	}
	return a.id.region
}

// away says why requests are refused, if they are, and since when.
func (p *presence) away() (time.Time, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.silent < silences {
		return time.Time{}, nil
	}
	return p.since, p.refusal()
}
