package tbs

import "fmt"

// Error says why a message is not signed.
type Error struct {
	// Kind is what the message began as, or 0.
	Kind Kind
	// Forbidden tells a message that is sound but breaks a rule (its time, its
	// inner algorithm) from one that is malformed.
	Forbidden bool
	// Reason is for people.
	Reason string
}

// Error gives kind and reason in one line.
func (e *Error) Error() string { return "the " + e.Kind.String() + " to be signed " + e.Reason }

func malformed(format string, args ...any) *Error {
	return &Error{Reason: fmt.Sprintf(format, args...)}
}

func forbidden(format string, args ...any) *Error {
	return &Error{Forbidden: true, Reason: fmt.Sprintf(format, args...)}
}
