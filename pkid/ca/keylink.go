package ca

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"

	"github.com/hsmpki/hsmpki/wire"
)

// maxLookUps is how many managed keys, of which hsmd does not know the public
// key yet, it is asked to look for in one import.
const maxLookUps = 64

// managedKeysOf finds, among the managed keys that the mount may use, those of
// the certificates, as entries that are not stored yet. A certificate without a
// key is not wrong, so that what cannot be told is a warning.
func (a *Authority) managedKeysOf(ctx context.Context, certs []*x509.Certificate) (keys []*Key, warnings []string) {
	v := a.view.Load()
	var wanted []*Issuer
	for _, c := range certs {
		i := &Issuer{Certificate: c}
		if v.keyFor(i) == nil {
			wanted = append(wanted, i)
		}
	}
	if len(wanted) == 0 {
		return nil, nil
	}
	all, err := a.cfg.Keys.Describe(ctx, &wire.DescribeRequest{})
	if err != nil {
		return nil, []string{fmt.Sprintf("Whether a managed key is that of an imported certificate could not be told; import it again to have it linked: %v", err)}
	}
	lookUps := 0
	for n := range all.Keys {
		info := &all.Keys[n]
		if a.mayUse(info.Definition.Name, anyMount(info)) != nil {
			continue
		}
		if len(info.PublicKey) == 0 {
			if lookUps++; lookUps > maxLookUps {
				continue
			}
			if info = a.lookUp(ctx, info.Definition.Name); info == nil {
				continue
			}
		}
		entry, err := a.entry(info, false)
		if err == nil && slices.ContainsFunc(wanted, func(i *Issuer) bool { return i.holds(entry) }) {
			keys = append(keys, entry)
		}
	}
	if lookUps > maxLookUps {
		warnings = append(warnings, fmt.Sprintf("Only %d of %d managed keys whose public key is not known yet were looked for; read a managed key's test/sign, and import again, to have it linked.", maxLookUps, lookUps))
	}
	return keys, warnings
}

// lookUp has hsmd look for a key; nil if it is not there or cannot be told.
func (a *Authority) lookUp(ctx context.Context, name string) *wire.KeyInfo {
	found, err := a.cfg.Keys.Describe(ctx, &wire.DescribeRequest{Key: name, Find: true})
	if err != nil || len(found.Keys) != 1 || len(found.Keys[0].PublicKey) == 0 {
		return nil
	}
	return &found.Keys[0]
}
