package hsm

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/hsmpki/hsmpki/wire"
)

// method is one of wire.Client's.
type method[Q, A any] func(*wire.Client, context.Context, *Q) (*A, error)

// ask asks, and asks once more if the connection broke.
func ask[Q, A any](ctx context.Context, c *Client, req *Q, do method[Q, A]) (*A, error) {
	ctx, cancel := within(ctx, requestTime)
	defer cancel()
	answer, broke, err := once(ctx, c, req, do)
	if broke {
		answer, _, err = once(ctx, c, req, do)
	}
	return answer, err
}

// once asks on the connection that there is, or a new one. broke says that the
// request may or may not have been carried out: the connection broke, or has
// been broken unnoticed when the request was sent.
func once[Q, A any](ctx context.Context, c *Client, req *Q, do method[Q, A]) (answer *A, broke bool, err error) {
	link, err := c.connection(ctx)
	if err != nil {
		return nil, false, err
	}
	call, end := traced(ctx, req)
	answer, err = do(link, call, req)
	end(err)
	if err == nil {
		return answer, false, nil
	}
	// The error of a broken link is what its requests fail with; hsmd's own
	// answers are others.
	broke = err == link.Err() && ctx.Err() == nil
	if broke {
		err = away("hsmd: %s", wire.AsError(err).Message)
	}
	return nil, broke, err
}

// within gives ctx a deadline if it has none.
func within(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, limit)
}

// signParts asks again only if the message can be read again.
func (c *Client) signParts(ctx context.Context, req *wire.SignRequest) (*wire.SignResponse, error) {
	ctx, cancel := within(ctx, requestTime)
	defer cancel()
	start := int64(-1)
	seeker, ok := req.Parts.(io.Seeker)
	if ok {
		if at, err := seeker.Seek(0, io.SeekCurrent); err == nil {
			start = at
		}
	}
	answer, broke, err := once(ctx, c, req, (*wire.Client).Sign)
	if !broke || start < 0 {
		return answer, err
	}
	if _, serr := seeker.Seek(start, io.SeekStart); serr != nil {
		return nil, err
	}
	answer, _, err = once(ctx, c, req, (*wire.Client).Sign)
	return answer, err
}

// Generate implements [wire.Service]. When the connection breaks it is not
// known whether there is a key now: the client looks for it, and only if there
// is none asks again, with the same id, to which hsmd makes one key only. A
// responder's key is asked for again at once: hsmd has it or makes it, in its
// memory.
func (c *Client) Generate(ctx context.Context, req *wire.GenerateRequest) (*wire.GenerateResponse, error) {
	if req.Responder {
		return ask(ctx, c, req, (*wire.Client).Generate)
	}
	ctx, cancel := within(ctx, generateTime)
	defer cancel()
	answer, broke, err := once(ctx, c, req, (*wire.Client).Generate)
	if !broke {
		return answer, err
	}
	made, err := c.look(ctx, req)
	if err != nil {
		return nil, err
	}
	if made != nil {
		return &wire.GenerateResponse{Key: *made, Created: true}, nil
	}
	answer, _, err = once(ctx, c, req, (*wire.Client).Generate)
	return answer, err
}

// look finds the key that req may have made, nil if there is none.
func (c *Client) look(ctx context.Context, req *wire.GenerateRequest) (*wire.KeyInfo, error) {
	all, err := c.Describe(ctx, &wire.DescribeRequest{Key: req.Key, Find: req.Key != ""})
	if err != nil {
		return nil, err
	}
	for i := range all.Keys {
		k := &all.Keys[i]
		named := k.Definition.Name == req.Key && req.Key != ""
		internal := req.Key == "" && k.Source == wire.SourceInternal && strings.HasSuffix(k.Definition.Name, req.ID)
		if (named || internal) && len(k.PublicKey) > 0 {
			return k, nil
		}
	}
	return nil, nil
}

// Forget implements [wire.Service]; it is asked again on a broken connection,
// and then it is no failure if there is nothing left to forget.
func (c *Client) Forget(ctx context.Context, req *wire.ForgetRequest) (*wire.ForgetResponse, error) {
	ctx, cancel := within(ctx, requestTime)
	defer cancel()
	answer, broke, err := once(ctx, c, req, (*wire.Client).Forget)
	if !broke {
		return answer, err
	}
	answer, _, err = once(ctx, c, req, (*wire.Client).Forget)
	if errors.Is(err, wire.UnknownKey) {
		return &wire.ForgetResponse{}, nil
	}
	return answer, err
}
