package store

import "bytes"

// Tokens lie under a keyed hash of theirs (package token), which is 32 octets.

// TokenHashKey is where the key of that hash lies.
func TokenHashKey() []byte { return []byte("token/key") }

// Token is where a token lies.
func Token(hash []byte) []byte { return append([]byte("token/id/"), hash...) }

// TokenAccessor is where the hash of an accessor's token lies.
func TokenAccessor(accessor string) []byte { return []byte("token/accessor/" + accessor) }

// TokenAccessors bounds all of them.
func TokenAccessors() (start, end []byte) { return bounds([]byte("token/accessor/")) }

// TokenChild marks a token as made by another.
func TokenChild(parent, child []byte) []byte {
	return append(append([]byte("token/child/"), parent...), child...)
}

// TokenChildren bounds these marks of one parent.
func TokenChildren(parent []byte) (start, end []byte) { return below(TokenChild(parent, nil)) }

// TokenPath is a token's entry in the index by the path that it was made at. A
// path has no octet 0.
func TokenPath(path string, hash []byte) []byte {
	return append([]byte("token/path/"+path+"\x00"), hash...)
}

// TokensByPath bounds the entries of all paths that begin so.
func TokensByPath(prefix string) (start, end []byte) { return below([]byte("token/path/" + prefix)) }

// TokensByExpiry is the index of tokens by their end.
func TokensByExpiry() Index { return Index("token/expiry/") }

// TokenEnded marks a token that is revoked and not yet deleted.
func TokenEnded(hash []byte) []byte { return append([]byte("token/ended/"), hash...) }

// TokensEnded bounds these marks.
func TokensEnded() (start, end []byte) { return bounds([]byte("token/ended/")) }

// TokenRole is where a role of tokens lies.
func TokenRole(name string) []byte { return []byte("token/role/" + name) }

// TokenRoles bounds all of them.
func TokenRoles() (start, end []byte) { return bounds([]byte("token/role/")) }

// below is the range of keys with a prefix that may end in any octet.
func below(prefix []byte) (start, end []byte) {
	end = bytes.Clone(prefix)
	for i := len(end) - 1; ; i-- { // a key begins with a letter
		if end[i] < 0xff {
			end[i]++
			return prefix, end[:i+1]
		}
	}
}
