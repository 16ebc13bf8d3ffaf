package config

// What the grammar has and the program has not yet is refused here, one line
// for each, so that nobody believes in a wall that is not there. Whoever builds
// a thing deletes its line.

func (c *PKID) refuseUnbuilt(src *source) {
	if c.Storage.Type == "postgresql" {
		src.notBuiltBlock(c.Storage.Place, `storage "postgresql"`)
	}
	for _, l := range c.Listeners {
		src.notBuilt(l.Place, "tls_client_ca_file")
	}
}

func (s *source) notBuilt(p Place, attr string) {
	if p.Has(attr) {
		s.faults = append(s.faults, p.diagnostic(attr, "%s: not built yet", attr))
	}
}

func (s *source) notBuiltBlock(p Place, what string) {
	s.faults = append(s.faults, p.diagnostic("", "%s: not built yet", what))
}
