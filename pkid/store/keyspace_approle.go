package store

// Below a mount of auth/approle a role's secret ids lie under the role's own id,
// by their hash, so that they are none any more when the role is gone.

// RoleID is where the name of the role with a role_id lies.
func (a AuthSpace) RoleID(roleID string) []byte { return []byte(string(a) + "roleid/" + roleID) }

// SecretID is where a secret id lies.
func (a AuthSpace) SecretID(role string, hash []byte) []byte {
	return append([]byte(string(a)+"secretid/"+role+"/"), hash...)
}

// SecretIDs bounds those of one role.
func (a AuthSpace) SecretIDs(role string) (start, end []byte) { return bounds(a.SecretID(role, nil)) }

// SecretIDAccessor is where the hash of an accessor's secret id lies.
func (a AuthSpace) SecretIDAccessor(role, accessor string) []byte {
	return []byte(string(a) + "accessor/" + role + "/" + accessor)
}

// SecretIDAccessors bounds those of one role.
func (a AuthSpace) SecretIDAccessors(role string) (start, end []byte) {
	return bounds(a.SecretIDAccessor(role, ""))
}

// SecretIDsByEnd is the index of secret ids by their end; an entry goes on with
// the role's id and the hash.
func (a AuthSpace) SecretIDsByEnd() Index { return Index(string(a) + "expiry/") }

// Forgotten marks a role that is gone whose secret ids are still to be deleted.
func (a AuthSpace) Forgotten(role string) []byte { return []byte(string(a) + "forgotten/" + role) }

// AllForgotten bounds these marks.
func (a AuthSpace) AllForgotten() (start, end []byte) {
	return bounds([]byte(string(a) + "forgotten/"))
}
