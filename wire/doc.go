// Package wire says what can be asked of a key service and moves it over a
// stream: between pkid and hsmd, and between hsmd and its workers. README.md is
// the specification, complete enough to write the other end in another
// language.
//
// It exists so that a key can be used without being near: whoever holds one end
// can name keys and messages, never handles, PINs of others or memory. The
// package knows frames and types. It must not know who the peer is, what he
// may, or what a key is made of.
//
// Start with [Service], which is what is asked; [Client] is a remote one and
// [Serve] offers one.
package wire
