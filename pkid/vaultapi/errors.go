package vaultapi

import (
	"fmt"
	"net/http"
	"time"
)

// Error is a refusal with its HTTP status. Without texts it is Vault's bare
// {"errors":[]}, which says that there is nothing.
type Error struct {
	Status     int
	Errors     []string
	RetryAfter time.Duration // sent as a Retry-After header where it is set
}

func (e *Error) Error() string {
	if len(e.Errors) == 0 {
		return http.StatusText(e.Status)
	}
	return e.Errors[0]
}

// Errorf makes a refusal of one text.
func Errorf(status int, format string, args ...any) *Error {
	return &Error{Status: status, Errors: []string{fmt.Sprintf(format, args...)}}
}

// BadRequest is a mistake of the client's.
func BadRequest(format string, args ...any) *Error {
	return Errorf(http.StatusBadRequest, format, args...)
}

// NotFound is the answer to reading what is not there.
func NotFound() *Error { return &Error{Status: http.StatusNotFound, Errors: []string{}} }

// PermissionDenied is the answer to whoever may not, or is nobody.
func PermissionDenied() *Error { return Errorf(http.StatusForbidden, "permission denied") }
