package api

import (
	"time"

	"github.com/hsmpki/hsmpki/wire"
)

// readHSMStatus serves sys/hsm/status, a path of ours: how hsmd, its libraries
// and their tokens are, and the copies of keys that are on several tokens.
func readHSMStatus(h *Handler, r *request) (*answer, error) {
	s, err := h.Keys.Status(r.ctx, &wire.StatusRequest{})
	if err != nil {
		return nil, err
	}
	libraries := []any{}
	for _, l := range s.Libraries {
		tokens := []any{}
		for _, t := range l.Tokens {
			tokens = append(tokens, map[string]any{
				"slot": t.Slot, "label": t.Label, "serial": t.Serial, "model": t.Model, "logged_in": t.LoggedIn, "sessions": t.Sessions,
				"flags": append([]string{}, t.Flags...), "keys": append([]string{}, t.Keys...),
			})
		}
		fault := ""
		if l.Fault != nil {
			fault = l.Fault.Err().Error()
		}
		libraries = append(libraries, map[string]any{"name": l.Name, "path": l.Path, "fault": fault, "tokens": tokens})
	}
	return &answer{data: map[string]any{
		"version": s.Version, "started": time.Unix(s.Started, 0).UTC().Format(time.RFC3339), "libraries": libraries,
		"copies": describeCopies(s.Copies),
	}}, nil
}

// describeCopies has an entry for each token of each key that is on several; a
// fault says why that one is not used.
func describeCopies(keys []wire.KeyCopies) []any {
	all := []any{}
	for _, k := range keys {
		for _, c := range k.Copies {
			copy := map[string]any{"key": k.Key, "library": c.Library, "token_label": c.TokenLabel, "token_serial": c.TokenSerial,
				"found": c.Found, "under_way": c.UnderWay, "fault": ""}
			if c.Slot != nil {
				copy["slot"] = *c.Slot
			}
			if c.Fault != nil {
				copy["fault"], copy["since"] = c.Fault.Err().Error(), time.Unix(c.Since, 0).UTC().Format(time.RFC3339)
			}
			all = append(all, copy)
		}
	}
	return all
}
