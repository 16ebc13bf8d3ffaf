package wire

import "context"

// Logging is what a [Service] can be asked besides where it keeps a log of its
// signatures. hsmd does; its workers do not.
type Logging interface {
	// Log gives lines of the log, as they are.
	Log(ctx context.Context, req *LogRequest) (*LogResponse, error)
}

// LogRequest asks for the lines from a number on.
type LogRequest struct {
	From uint64 `cbor:"1,keyasint,omitempty"`
}

// LogResponse has as many of them as an answer has room for, in order, and none
// where there are no more. Size is how many lines the log has; Verifier is its
// name and public key, as a note's verifier.
type LogResponse struct {
	Lines    [][]byte `cbor:"1,keyasint,omitempty"`
	Size     uint64   `cbor:"2,keyasint"`
	Verifier string   `cbor:"3,keyasint"`
}

// Log implements [Logging].
func (c *Client) Log(ctx context.Context, req *LogRequest) (*LogResponse, error) {
	return ask[LogResponse](ctx, c, opLog, req, nil)
}

// bindLogging binds the operation of Logging, where the service has it.
func (s *server) bindLogging(body []byte) (bound, error) {
	svc, is := s.svc.(Logging)
	if !is {
		return refused("there is no log of signatures here"), nil
	}
	return bind(body, svc.Log)
}
