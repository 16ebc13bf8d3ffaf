package health

import (
	"slices"
	"strings"
)

func checkHSM(f *Facts, r *report) {
	const endpoint = "sys/hsm/status"
	switch {
	case f.HSM == nil:
		r.addAt(NotApplicable, endpoint, "hsmd was not asked")
		return
	case f.HSM.Error != "":
		r.addAt(Critical, endpoint, "hsmd cannot be asked: %s", f.HSM.Error)
		return
	case len(f.HSM.Libraries) == 0:
		r.addAt(Critical, endpoint, "hsmd has no library")
	}
	for _, l := range f.HSM.Libraries {
		if l.Fault != "" {
			r.addAt(Critical, endpoint, "the library %s does not work: %s", l.Name, l.Fault)
			continue
		}
		var labels []string
		for _, t := range l.Tokens {
			labels = append(labels, t.Label)
			switch {
			case slices.Contains(t.Flags, "user_pin_locked"):
				r.addAt(Critical, endpoint, "the user PIN of token %s is locked", t.Label)
			case slices.Contains(t.Flags, "user_pin_final_try"):
				r.addAt(Critical, endpoint, "token %s is at its last try for the user PIN", t.Label)
			case slices.Contains(t.Flags, "user_pin_count_low"):
				r.addAt(Warning, endpoint, "a wrong user PIN was given to token %s", t.Label)
			case slices.Contains(t.Flags, "user_pin_to_be_changed"):
				r.addAt(Warning, endpoint, "the user PIN of token %s is to be changed", t.Label)
			}
		}
		if len(labels) == 0 {
			r.addAt(Critical, endpoint, "the library %s shows no token", l.Name)
			continue
		}
		r.addAt(OK, endpoint, "the library %s works; tokens: %s", l.Name, strings.Join(labels, ", "))
	}
	for _, c := range f.HSM.Copies {
		if c.Fault != "" {
			r.addAt(Warning, endpoint, "key %s is not signed with on token %s of library %s: %s", c.Key, c.Token, c.Library, c.Fault)
		}
	}
}
