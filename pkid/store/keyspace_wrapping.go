package store

// Wrapped is where an answer lies that is kept for whoever has a token, by the
// SHA-256 of that.
func Wrapped(hash []byte) []byte { return append([]byte("wrapped/of/"), hash...) }

// WrappedByExpiry is the index of them by their end.
func WrappedByExpiry() Index { return Index("wrapped/end/") }
