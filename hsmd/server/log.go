package server

import (
	"context"

	"github.com/hsmpki/hsmpki/hsmd/grant"
	"github.com/hsmpki/hsmpki/wire"
)

var _ wire.Logging = (*session)(nil)

// maxLines is how many octets of lines one answer has, beyond the first.
const maxLines = 1 << 20

// Log gives lines of the log of signatures. A line is about any key, and all of
// them make the chain: whoever may audit some keys alone may not read it.
func (c *session) Log(ctx context.Context, req *wire.LogRequest) (*wire.LogResponse, error) {
	defer c.srv.begin().end()
	if _, g := c.now(); !g.Allows(grant.Audit, "*") {
		return nil, c.refused(grant.Audit, "*")
	}
	// Where it cannot be written any more, what there is can be read.
	_ = c.srv.audit.Settle(ctx)
	answer := &wire.LogResponse{Size: c.srv.audit.Size(), Verifier: c.srv.audit.Verifier()}
	size := 0
	for line, err := range c.srv.audit.Read(req.From) {
		if err != nil {
			c.srv.quiet.warn("the log of signatures cannot be read", "from", req.From, "error", err)
			return nil, wire.Errorf(wire.Internal, "the log of signatures: %v", err)
		}
		if size += len(line.Raw); size > maxLines && len(answer.Lines) > 0 {
			break
		}
		answer.Lines = append(answer.Lines, line.Raw)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	return answer, nil
}
