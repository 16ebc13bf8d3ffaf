package ca

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hsmpki/hsmpki/pkid/crl"
	"github.com/hsmpki/hsmpki/pkid/inventory"
)

// CRL finds a list of the issuer with this reference, brought up to date as
// config/crl says. It is crl.ErrNone where there is none: a delta list that is
// not enabled. An issuer that cannot sign CRLs is refused.
func (a *Authority) CRL(ctx context.Context, ref string, kind crl.Kind) (*crl.Handle, error) {
	i, err := a.Issuer(ref)
	if err != nil {
		return nil, err
	}
	return a.crls.Latest(ctx, i.group, kind)
}

// RotateCRLs makes the lists of all issuers that can sign anew; for the others
// there is a warning. One that cannot be made is no reason to leave out those
// after it; the error is the first one's, and all are logged.
func (a *Authority) RotateCRLs(ctx context.Context, kind crl.Kind) (warnings []string, err error) {
	if kind == crl.Delta && !a.CRLConfig().EnableDelta {
		return []string{"requested rebuild of delta CRL when delta CRL is not enabled; this is a no-op"}, nil
	}
	source := crlSource{a}
	for _, g := range source.Groups() {
		if _, cannot := a.view.Load().forCRLs(g); cannot != nil {
			warnings = append(warnings, cannot.Error())
			continue
		}
		if failed := a.crls.Rotate(ctx, g, kind); err == nil {
			err = failed
		}
	}
	return warnings, err
}

// firstCRL makes the CRL of an issuer that has been added and is durable, if
// it can sign one and there is none. If that fails, the CA works without one
// until the CRL is read or pkid looks again; the warning says so.
func (a *Authority) firstCRL(ctx context.Context, i *Issuer) (warnings []string) {
	if _, cannot := a.view.Load().forCRLs(i.group); cannot != nil {
		return nil
	}
	if err := a.crls.First(ctx, i.group); err != nil {
		return []string{fmt.Sprintf("the first CRL of the issuer %s could not be made and is made when it is read: %v", i.ID, err)}
	}
	return nil
}

// crlSource is the authority as package crl sees it.
type crlSource struct{ *Authority }

// Groups implements [crl.Source].
func (s crlSource) Groups() []inventory.Group {
	groups := map[inventory.Group]bool{}
	for _, i := range s.view.Load().issuers {
		groups[i.group] = true
	}
	return slices.Sorted(maps.Keys(groups))
}

// Signing implements [crl.Source].
func (s crlSource) Signing(ctx context.Context, g inventory.Group) (*crl.Signing, error) {
	v := s.view.Load()
	i, err := v.forCRLs(g)
	if err != nil {
		return nil, crl.CannotSign{Reason: err}
	}
	signer, err := s.signer(ctx, v.keys[i.KeyID], s.cfg.UUID+" crl")
	if err != nil {
		return nil, err
	}
	look := func(tbs, dummy []byte) error {
		_, err := s.LintCRL(i.ID, tbs, dummy)
		return err
	}
	last := func(ctx context.Context) (uint64, error) {
		return s.cfg.Keys.LastCRLNumber(ctx, v.keys[i.KeyID].ManagedName, i.Certificate.RawSubject)
	}
	return &crl.Signing{Issuer: i.issuance, Algorithm: i.crlAlgorithmID, Key: signer, LastNumber: last, Look: look}, nil
}

// forCRLs finds the issuer of a group that signs its CRLs: the default, or the
// one with the least id. All have the same key.
func (v *view) forCRLs(g inventory.Group) (*Issuer, error) {
	var found *Issuer
	var reason error
	for _, id := range slices.Sorted(maps.Keys(v.issuers)) {
		i := v.issuers[id]
		if i.group != g {
			continue
		}
		if cannot := v.cannotSignCRLs(i); cannot != nil {
			reason = cannot
			continue
		}
		if found == nil || id == v.settings.DefaultIssuer {
			found = i
		}
	}
	switch {
	case found != nil:
		return found, nil
	case reason != nil:
		return nil, reason
	}
	return nil, refuse("unable to find CRL: its issuer is not in this mount any more")
}

// cannotSignCRLs says why an issuer cannot, nil if it can.
func (v *view) cannotSignCRLs(i *Issuer) error {
	switch {
	case !i.may(usageCRL):
		return refuse("unable to find CRL for issuer [id:%s / name:%s]: it has the usage %s, without %s", i.ID, i.Name, strings.Join(i.Usage, ","), usageCRL)
	case i.issuance == nil || !i.issuance.MaySignCRLs():
		return refuse("unable to find CRL for issuer [id:%s / name:%s]: its certificate has no key usage cRLSign", i.ID, i.Name)
	case v.keys[i.KeyID] == nil:
		return refuse("unable to find CRL for issuer [id:%s / name:%s]: its key is not in this mount", i.ID, i.Name)
	}
	return nil
}
