package api

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/hsmpki/hsmpki/pkid/auth"
	"github.com/hsmpki/hsmpki/pkid/ca"
	"github.com/hsmpki/hsmpki/pkid/mounts"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
	"github.com/hsmpki/hsmpki/pkid/wrapping"
)

// operation is what a request wants, in Vault's words.
type operation string

// The operations. POST and PUT are both update.
const (
	read   operation = "read"
	list   operation = "list"
	update operation = "update"
	patch  operation = "patch"
	delete operation = "delete"
)

// request is one request after everything that is alike for all paths: path
// checked, mount found, caller known, parameters parsed.
type request struct {
	ctx     context.Context
	id      string // request id, a UUID
	op      operation
	path    string // below /v1/, cleaned: "pki/issue/web"
	pattern string // of the route, "" for none
	rest    string // below the mount: "issue/web"
	mount   *mounts.Mount
	login   *auth.Mount       // the way to log in that the path is of; rest is below it then
	vars    map[string]string // what stood for :role, :ref, … in the pattern
	params  *vaultapi.Params
	body    []byte // of a route whose body is not parameters
	header  http.Header
	who     caller
	wrapTTL time.Duration // of the answer; 0: it is not wrapped
	draw    ca.Draw       // of a route that waits for approval
	trail   trail
}

// answer is what a handler answers. The zero answer, like a nil one, is 204.
type answer struct {
	data     map[string]any
	auth     *authBlock // a token that was made or renewed
	warnings []string
	status   int // 0: 200, or 204 when there is nothing to say

	// raw answers these octets of contentType instead of JSON.
	raw         []byte
	contentType string

	// stream answers octets of contentType that are not held whole: it calls
	// send with them, and what send gives is its result.
	stream func(send func(*stream) error) error

	// pour writes octets of contentType of which nobody knows how many there are.
	pour func(to io.Writer) error

	// bare is written as JSON without the envelope.
	bare any

	// topLevel has the fields of data beside the envelope's too, as Vault does
	// for older clients (vault-api.md 2.1).
	topLevel bool

	// wrap is where the answer is kept instead.
	wrap *wrapping.Info

	// header is added to the answer's.
	header http.Header
}

// handlerFunc answers one operation on one path. A nil answer is 204.
type handlerFunc func(h *Handler, r *request) (*answer, error)
