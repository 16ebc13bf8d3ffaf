// Package pkcs11 answers [wire.Service] from one PKCS#11 library. It runs only
// inside a worker process, never in hsmd's own: a vendor's library may crash,
// hang or leak, and then takes this process with it and no other.
//
// It decides nothing about what may be signed; that is hsmd's. What it knows is
// how tokens behave: one login for each token and never a second try of a PIN
// that was refused; a session owned by one call from its beginning to its
// result, and closed after any error; object handles kept and looked up again
// when they went stale; keys that are exactly one or refused.
//
// What goes wrong is looked up in codes.go, and made up for by climb.go as far as
// it can be in this process; a call that hangs ends it, in watch.go.
//
// Start with [Service], in service.go; a signature's way is in sign.go. All of
// the C is in call.h, call.c, module.go and signcalls.go; most calls go through
// github.com/miekg/pkcs11.
package pkcs11
