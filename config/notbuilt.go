package config

// What the grammar has and the program has not yet is refused here, one line
// for each, so that nobody believes in a wall that is not there. Whoever builds
// a thing deletes its line.

func (c *HSMD) refuseUnbuilt(src *source) {
	if w := c.WireKeys; w != nil {
		src.constraintsNotBuilt(w.Constraints)
	}
	for _, k := range c.ManagedKeys {
		src.constraintsNotBuilt(k.Constraints)
	}
}

func (c *PKID) refuseUnbuilt(src *source) {
	if c.Storage.Type == "postgresql" {
		src.notBuiltBlock(c.Storage.Place, `storage "postgresql"`)
	}
}

func (s *source) constraintsNotBuilt(c *Constraint) {
	if c != nil {
		s.notBuiltBlock(c.Place, "constraints")
	}
}

func (s *source) notBuiltBlock(p Place, what string) {
	s.faults = append(s.faults, p.diagnostic("", "%s: not built yet", what))
}
