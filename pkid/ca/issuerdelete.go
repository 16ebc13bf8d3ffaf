package ca

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hsmpki/hsmpki/pkid/store"
)

// DeleteIssuer forgets an issuer. Its key's entry, the certificates that it has
// issued and what was revoked stay. One that is not there is no error.
func (a *Authority) DeleteIssuer(ctx context.Context, ref string) (warnings []string, err error) {
	err = a.change(ctx, func(v *view, tx store.Tx) error {
		warnings = nil
		i := v.findIssuer(ref)
		if i == nil {
			return nil
		}
		delete(v.issuers, i.ID)
		if v.settings.DefaultIssuer == i.ID {
			v.settings.DefaultIssuer = ""
			warnings = append(warnings, fmt.Sprintf("Deleted issuer %s (via issuer_ref %s); this was configured as the default issuer. Operations without an explicit issuer will not work until a new default is configured.", i.ID, ref))
			if err := v.putSettings(tx, a.space); err != nil {
				return err
			}
		}
		for _, name := range slices.Sorted(maps.Keys(v.roles)) {
			if used := v.roles[name].IssuerRef; used == i.ID || i.Name != "" && used == i.Name {
				warnings = append(warnings, fmt.Sprintf("Role %s refers to the deleted issuer: nothing can be issued under it until it has another issuer_ref.", name))
			}
		}
		more, err := a.leaveManualChains(v, tx, i.ID)
		if err != nil {
			return err
		}
		warnings = append(warnings, more...)
		return tx.Delete(a.space.Issuer(i.ID))
	})
	return warnings, err
}

// leaveManualChains takes a deleted issuer out of the manual chains of others.
func (a *Authority) leaveManualChains(v *view, tx store.Tx, deleted string) (warnings []string, err error) {
	for _, id := range slices.Sorted(maps.Keys(v.issuers)) {
		i := v.issuers[id]
		if !slices.Contains(i.ManualChain, deleted) {
			continue
		}
		next := *i
		next.ManualChain = slices.DeleteFunc(slices.Clone(i.ManualChain), func(m string) bool { return m == deleted })
		if err := a.putIssuer(v, tx, &next); err != nil {
			return nil, err
		}
		warnings = append(warnings, fmt.Sprintf("The manual chain of issuer %s had the deleted issuer, and has it no more.", id))
	}
	return warnings, nil
}

// DeleteAll forgets all issuers and keys of the mount (DELETE root). Keys in the
// HSM stay, as do roles, certificates, and what was revoked.
func (a *Authority) DeleteAll(ctx context.Context) (warnings []string, err error) {
	err = a.change(ctx, func(v *view, tx store.Tx) error {
		for id := range v.issuers {
			if err := tx.Delete(a.space.Issuer(id)); err != nil {
				return err
			}
		}
		var managed []string
		for id, k := range v.keys {
			managed = append(managed, k.ManagedName)
			if err := tx.Delete(a.space.Key(id)); err != nil {
				return err
			}
		}
		slices.Sort(managed)
		warnings = []string{fmt.Sprintf("Deleted %d issuers and %d keys of this mount.", len(v.issuers), len(v.keys))}
		if len(managed) > 0 {
			warnings = append(warnings, "The keys themselves stay in the HSM: "+strings.Join(managed, ", "))
		}
		clear(v.issuers)
		clear(v.keys)
		v.settings.DefaultIssuer, v.settings.DefaultKey = "", ""
		return v.putSettings(tx, a.space)
	})
	return warnings, err
}
