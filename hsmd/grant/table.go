package grant

import (
	"errors"
	"fmt"
	"os/user"
	"strconv"

	"github.com/hsmpki/hsmpki/config"
)

// NewTable resolves the client blocks for a hsmd that runs as user own. Its
// error joins a fault for each name that does not exist.
func NewTable(clients []config.Client, own uint32) (*Table, error) {
	t := &Table{own: own}
	var faults []error
	for i := range clients {
		b, err := newBlock(&clients[i])
		if err != nil {
			faults = append(faults, err)
			continue
		}
		t.blocks = append(t.blocks, b)
	}
	return t, errors.Join(faults...)
}

func newBlock(c *config.Client) (b block, err error) {
	b.name = c.Name
	if c.User != "" {
		if b.user, err = resolve(c.User, lookupUser); err != nil {
			return b, c.Place.Errorf("user", "client %q: %v", c.Name, err)
		}
	}
	if c.Group != "" {
		if b.group, err = resolve(c.Group, lookupGroup); err != nil {
			return b, c.Place.Errorf("group", "client %q: %v", c.Name, err)
		}
	}
	if b.user == nil && b.group == nil {
		return b, c.Place.Errorf("", "client %q needs a user or a group", c.Name)
	}
	for _, capability := range c.Capabilities {
		b.part.operations = append(b.part.operations, Operation(capability))
	}
	b.part.keys = c.Keys
	return b, nil
}

// NamesOwnUser gives the names of blocks that hsmd's own user alone is enough
// for: whoever takes the client over then has hsmd's files as well.
func (t *Table) NamesOwnUser() []string {
	var names []string
	for _, b := range t.blocks {
		if b.user != nil && *b.user == t.own {
			names = append(names, b.name)
		}
	}
	return names
}

// resolve takes a name or a number.
func resolve(name string, lookup func(string) (string, error)) (*uint32, error) {
	text := name
	if _, err := strconv.ParseUint(name, 10, 32); err != nil {
		if text, err = lookup(name); err != nil {
			return nil, err
		}
	}
	id, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("%q has the number %q, which is none", name, text)
	}
	n := uint32(id)
	return &n, nil
}

func lookupUser(name string) (string, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return "", fmt.Errorf("there is no user %q", name)
	}
	return u.Uid, nil
}

func lookupGroup(name string) (string, error) {
	g, err := user.LookupGroup(name)
	if err != nil {
		return "", fmt.Errorf("there is no group %q", name)
	}
	return g.Gid, nil
}
