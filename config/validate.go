package config

func (c *HSMD) validate(src *source) {}
func (c *PKID) validate(src *source) {}
