package store

// CRL is where a CRL lies that was given to a mount of auth/cert.
func (a AuthSpace) CRL(name string) []byte { return []byte(string(a) + "crl/" + name) }

// CRLs bounds all of them.
func (a AuthSpace) CRLs() (start, end []byte) { return bounds([]byte(string(a) + "crl/")) }
