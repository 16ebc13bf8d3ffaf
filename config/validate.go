package config

import (
	"path"
	"slices"
	"strings"
)

// checker collects the faults that show only when the parts of a file are seen
// together.
type checker struct{ src *source }

func (c checker) faultf(p Place, attr, format string, args ...any) {
	c.src.faults = append(c.src.faults, p.diagnostic(attr, format, args...))
}

func (c checker) warnf(p Place, attr, format string, args ...any) {
	c.src.warnings = append(c.src.warnings, p.diagnostic(attr, format, args...))
}

// oneOf checks a value that is set against the ones there are.
func (c checker) oneOf(p Place, attr, value string, known ...string) {
	if value != "" && !slices.Contains(known, value) {
		c.faultf(p, attr, "%s %q: must be %s", attr, value, quoted(known))
	}
}

func (c checker) eachOf(p Place, attr string, values []string, known ...string) {
	for _, v := range values {
		c.oneOf(p, attr, v, known...)
	}
}

// absolute checks a path that is set.
func (c checker) absolute(p Place, attr, value string) {
	if value != "" && !path.IsAbs(value) {
		c.faultf(p, attr, "%s must be an absolute path", attr)
	}
}

// unique reports a name that an earlier block of the kind has.
func (c checker) unique(seen map[string]Place, attr, kind, name string, p Place) {
	if first, ok := seen[name]; ok {
		c.faultf(p, attr, "%s %q is there already, at line %d", kind, name, first.line)
		return
	}
	seen[name] = p
}

func (c *HSMD) validate(src *source) {
	check := checker{src}
	check.absolute(c.Place, "state_dir", c.StateDir)
	if c.Place.Has("audit_log") {
		check.absolute(c.Place, "audit_log", c.AuditLog)
	}
	if c.StateKey.IsSet() && c.StateKey.Reference() == "" {
		check.faultf(c.Place, "state_key", `state_key must be a reference: "file:/path" or "env:NAME"`)
	}
	check.listeners(c.Listeners, "unix")
	witnesses := make(map[string]Place)
	for _, w := range c.Witnesses {
		check.unique(witnesses, "", "witness", w.Name, w.Place)
	}
	libraries := check.libraries(c.Libraries)
	check.clients(c.Clients)
	approvers := check.approvers(c.Approvers)
	if c.WireKeys != nil {
		check.wireKeys(c.WireKeys, libraries)
		check.approval(c.WireKeys.Approval, approvers)
	}
	if k := c.InternalKeys; k != nil {
		check.library(k.Place, k.Library, libraries)
		check.token(k.Place, "internal_keys", &k.Token)
	}
	seen := make(map[string]Place)
	for i := range c.ManagedKeys {
		k := &c.ManagedKeys[i]
		check.approval(k.Approval, approvers)
		check.unique(seen, "", "managed_key", k.Name, k.Place)
		check.managedKey(k, libraries)
	}
}

// libraries checks the kms_library blocks and gives their names.
func (c checker) libraries(list []Library) []string {
	var names []string
	seen := make(map[string]Place)
	for _, l := range list {
		if l.Name == "" {
			continue
		}
		c.unique(seen, "name", "kms_library", strings.ToLower(l.Name), l.Place)
		if l.Name == "*" {
			c.faultf(l.Place, "name", `name must not be "*", which stands for any library`)
		}
		c.absolute(l.Place, "library", l.Path)
		for name := range l.Env {
			if name == "" || strings.ContainsAny(name, "= \x00") {
				c.faultf(l.Place, "env", "env: %q cannot be the name of a variable", name)
			}
		}
		for _, p := range l.Paths {
			c.absolute(l.Place, "paths", p)
		}
		names = append(names, l.Name)
	}
	return names
}

// library checks a reference to a kms_library block. As the names are told
// apart in one case only, they are also found in any.
func (c checker) library(p Place, name string, libraries []string) {
	if name == "" || slices.ContainsFunc(libraries, func(l string) bool { return strings.EqualFold(l, name) }) {
		return
	}
	c.faultf(p, "library", "no kms_library block has the name %q", name)
}

func (c checker) clients(list []Client) {
	seen := make(map[string]Place)
	for _, cl := range list {
		c.unique(seen, "", "client", cl.Name, cl.Place)
		if !cl.Place.Has("user") && !cl.Place.Has("group") {
			c.faultf(cl.Place, "", "client %q needs user or group", cl.Name)
		}
		for _, capability := range cl.Capabilities {
			c.oneOf(cl.Place, "capabilities", string(capability), "sign", "generate", "test", "configure", "audit", "approve")
		}
		for _, k := range cl.Keys {
			if k != "*" && !validKeyName(k) {
				c.faultf(cl.Place, "keys", `keys: %q is neither the name of a key nor "*"`, k)
			}
		}
	}
}

func (c checker) wireKeys(w *WireKeys, libraries []string) {
	for _, r := range w.Regions {
		if r != "*" {
			c.region(w.Place, "regions", r)
		}
	}
	for _, e := range w.Endpoints {
		c.endpoint(w.Place, "endpoints", e)
	}
	for _, name := range w.Libraries {
		if name == "*" {
			continue
		}
		if !slices.ContainsFunc(libraries, func(l string) bool { return strings.EqualFold(l, name) }) {
			c.faultf(w.Place, "libraries", "no kms_library block has the name %q", name)
		}
	}
	if w.Constraints != nil {
		c.constraint(w.Constraints)
	}
}
