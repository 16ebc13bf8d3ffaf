package wire

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Code says what kind of failure an answer is, and with it whether asking
// again can help. It is itself an error, so that
// errors.Is(err, wire.Denied) works on whatever wraps an [Error].
type Code uint8

// The closed list of failures. The numbers are the protocol's.
const (
	UnknownKey   Code = 1 // no such managed key
	Invalid      Code = 2 // the request makes no sense, or names a library that hsmd does not know
	Denied       Code = 3 // grant or rule says no; the message gives the reason
	KeyChanged   Code = 4 // the key found is not the one asked for
	Pending      Code = 5 // waits for approval
	Busy         Code = 6 // queue or rate; see RetryAfter
	Unavailable  Code = 7 // token, library, service or hsmd itself is away; see RetryAfter
	LoginRefused Code = 8 // the token refused the PIN; never to be retried
	Internal     Code = 9 // a fault of hsmd's or of the vendor's library
)

var codes = map[Code]struct {
	name  string
	http  int
	retry bool
}{
	UnknownKey:   {"unknown key", 400, false},
	Invalid:      {"invalid", 400, false},
	Denied:       {"denied", 400, false},
	KeyChanged:   {"key changed", 500, false},
	Pending:      {"pending", 202, true},
	Busy:         {"busy", 429, true},
	Unavailable:  {"unavailable", 503, true},
	LoginRefused: {"login refused", 400, false},
	Internal:     {"internal", 500, false},
}

// Known reports whether c is on the list.
func (c Code) Known() bool { _, ok := codes[c]; return ok }

// String is the code's name in the specification.
func (c Code) String() string {
	if e, ok := codes[c]; ok {
		return e.name
	}
	return fmt.Sprintf("unknown code %d", uint8(c))
}

// Error makes a Code a target for errors.Is.
func (c Code) Error() string { return c.String() }

// HTTPStatus is the status with which pkid hands the failure on. (Reading the
// definition of an unknown key is the one exception: 404.)
func (c Code) HTTPStatus() int {
	if e, ok := codes[c]; ok {
		return e.http
	}
	return 500
}

// Retryable reports whether the same request may succeed later.
func (c Code) Retryable() bool { return codes[c].retry }

// Error is a failure as it crosses the wire. Message is for people; it names
// what is wrong and where, and never holds a PIN or credential. RetryAfter is
// set with Busy, Unavailable and Pending, at a resolution of milliseconds. With
// Pending, ID names what waits, and Until is when it ends; with Denied, ID is the
// request's Approval if the message is not the one that waited under it.
type Error struct {
	Code       Code
	Message    string
	RetryAfter time.Duration
	ID         string
	Until      time.Time
}

func (e *Error) Error() string {
	if e.Message == "" {
		return e.Code.String()
	}
	return e.Code.String() + ": " + e.Message
}

// Unwrap gives the Code, for errors.Is.
func (e *Error) Unwrap() error { return e.Code }

// Errorf makes an *Error; the format may not use %w.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// AsError finds the *Error in err's chain. The end of a context becomes
// Unavailable, everything else Internal. It is nil for nil.
func AsError(err error) *Error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return waited(err)
	}
	return &Error{Code: Internal, Message: err.Error()}
}
