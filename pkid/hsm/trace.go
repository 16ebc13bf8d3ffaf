package hsm

import (
	"context"

	"github.com/hsmpki/hsmpki/pkid/tracing"
	"github.com/hsmpki/hsmpki/wire"
)

// traced begins the span of one question to hsmd, where the request that it is
// asked for is traced. end ends it, with what hsmd did in it.
func traced(ctx context.Context, req any) (_ context.Context, end func(error)) {
	operation, key := subject(req)
	ctx, span := tracing.StartCall(ctx, operation)
	if span.IsZero() {
		return ctx, func(error) {}
	}
	if key != "" {
		span.Set("hsmd.key", key)
	}
	if sign, is := req.(*wire.SignRequest); is {
		span.Set("hsmd.scheme", sign.Scheme.String())
	}
	ctx, steps := wire.WithSteps(ctx, operation)
	return ctx, func(err error) {
		tracing.HSMD(ctx, steps.End())
		if err != nil {
			span.Fail(wire.AsError(err).Code.String())
		}
		span.End()
	}
}

// subject names the operation, and the key that it is about.
func subject(req any) (operation, key string) {
	switch req := req.(type) {
	case *wire.SignRequest:
		return "hsmd sign", req.Key
	case *wire.GenerateRequest:
		return "hsmd generate", req.Key
	case *wire.DescribeRequest:
		return "hsmd describe", req.Key
	case *wire.TestRequest:
		return "hsmd test", req.Key
	case *wire.ConfigureRequest:
		return "hsmd configure", req.Definition.Name
	case *wire.ForgetRequest:
		return "hsmd forget", req.Key
	}
	return "hsmd status", ""
}
