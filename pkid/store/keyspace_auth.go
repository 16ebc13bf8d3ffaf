package store

// AuthMount is where the record of a way to log in lies.
func AuthMount(uuid string) []byte { return []byte("authmount/" + uuid) }

// AuthMounts bounds the records of all of them.
func AuthMounts() (start, end []byte) { return bounds([]byte("authmount/")) }

// AuthDisabled marks one that is gone, whose tokens and data are still to go.
func AuthDisabled(uuid string) []byte { return []byte("authdisabled/" + uuid) }

// AllAuthDisabled bounds these marks.
func AllAuthDisabled() (start, end []byte) { return bounds([]byte("authdisabled/")) }

// AuthSpace makes the keys of the data of one way to log in.
type AuthSpace string

// AuthOf gives the keys of the one with this UUID.
func AuthOf(uuid string) AuthSpace { return AuthSpace("auth/" + uuid + "/") }

// All bounds everything in it.
func (a AuthSpace) All() (start, end []byte) { return bounds([]byte(a)) }

// Config is where its configuration lies.
func (a AuthSpace) Config() []byte { return []byte(string(a) + "config") }

// Role is where a role lies.
func (a AuthSpace) Role(name string) []byte { return []byte(string(a) + "role/" + name) }

// Roles bounds all roles.
func (a AuthSpace) Roles() (start, end []byte) { return bounds([]byte(string(a) + "role/")) }
