package health

import "time"

func checkLocalhost(f *Facts, r *report) {
	for _, role := range f.Roles {
		if flag(role.Fields, "allow_localhost") {
			r.add(Warning, "roles/"+role.Name, "the role %s allows certificates for localhost: set allow_localhost=false", role.Name)
		}
	}
}

func checkGlobWildcards(f *Facts, r *report) {
	for _, role := range f.Roles {
		if flag(role.Fields, "allow_glob_domains") && flag(role.Fields, "allow_wildcard_certificates") {
			r.add(Warning, "roles/"+role.Name, "the role %s allows globs and wildcards together, which lets more names pass than one may think: set allow_wildcard_certificates=false", role.Name)
		}
	}
}

func checkAnyName(f *Facts, r *report) {
	for _, role := range f.Roles {
		switch {
		case flag(role.Fields, "allow_any_name") && !flag(role.Fields, "enforce_hostnames"):
			r.add(Warning, "roles/"+role.Name, "the role %s allows any text as a name", role.Name)
		case flag(role.Fields, "allow_any_name"):
			r.add(Informational, "roles/"+role.Name, "the role %s allows any name", role.Name)
		}
	}
}

// longLife is more than a leaf certificate should be valid for.
const longLife = 398 * day

func checkRoleValidity(f *Facts, r *report) {
	for _, role := range f.Roles {
		path := "roles/" + role.Name
		longest := seconds(role.Fields, "max_ttl")
		if end, _ := role.Fields["not_after"].(string); end != "" {
			if t, err := time.Parse(time.RFC3339, end); err == nil && t.Sub(f.Now) > longLife {
				r.add(Warning, path, "the role %s gives certificates that end at %s, whatever is asked", role.Name, end)
			}
		}
		if longest == 0 {
			longest = seconds(f.Tune, "max_lease_ttl")
		}
		if longest > longLife {
			r.add(Informational, path, "the role %s gives certificates of up to %s: set max_ttl", role.Name, days(longest))
		}
	}
}

func checkLinting(f *Facts, r *report) {
	if f.Lint["mode"] == "off" {
		r.add(Warning, "config/lint", "the mode of config/lint is off: what RFC 5280 forbids is signed without a word; waive the lints that are in the way instead")
	}
	for _, role := range f.Roles {
		if role.Fields["lint"] == "off" {
			r.add(Warning, "roles/"+role.Name, "the role %s turns linting off: name the lints that are in the way in lint_waive instead", role.Name)
		}
	}
}

func checkNoStore(f *Facts, r *report) {
	rebuilds := flag(f.CRL, "auto_rebuild")
	for _, role := range f.Roles {
		if flag(role.Fields, "no_store") {
			continue
		}
		if !rebuilds {
			r.add(Informational, "roles/"+role.Name, "certificates of the role %s are stored while auto_rebuild is off: each reading of the CRL after a revocation builds it anew", role.Name)
		}
	}
}
