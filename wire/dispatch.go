package wire

import (
	"context"
	"fmt"
)

// bind decodes a request's body and ties it to the service's method.
func (s *server) bind(o op, body []byte, parts *partReader) (bound, error) {
	switch o {
	case opDescribe:
		return bind(body, s.svc.Describe)
	case opGenerate:
		return bind(body, s.svc.Generate)
	case opSign:
		if parts == nil {
			return bind(body, s.svc.Sign)
		}
		return bind(body, func(ctx context.Context, req *SignRequest) (*SignResponse, error) {
			if len(req.Message) > 0 || len(req.Digest) > 0 {
				return nil, Errorf(Invalid, "a message both whole and in parts")
			}
			parts.ctx = ctx
			req.Parts = parts
			return s.svc.Sign(ctx, req)
		})
	case opTest:
		return bind(body, s.svc.Test)
	case opConfigure:
		return bind(body, s.svc.Configure)
	case opForget:
		return bind(body, s.svc.Forget)
	case opStatus:
		return bind(body, s.svc.Status)
	case opApprovals, opApprove:
		return s.bindApproving(o, body)
	case opLog:
		return s.bindLogging(body)
	}
	return bound{}, fmt.Errorf("%w: unknown operation %d", errFrame, o)
}

func bind[Q, R any](body []byte, method func(context.Context, *Q) (*R, error)) (bound, error) {
	req := new(Q)
	if err := decode(body, req); err != nil {
		return bound{}, fmt.Errorf("%w: request: %w", errFrame, err)
	}
	list, is := any(req).(interface{ long() bool })
	return bound{long: is && list.long(), do: func(ctx context.Context) (any, error) {
		response, err := method(ctx, req)
		if err == nil && response == nil {
			err = Errorf(Internal, "the service answered nothing")
		}
		return response, err
	}}, nil
}

// long says of a request that its answer is a list that may be long.
func (r *DescribeRequest) long() bool  { return r.Key == "" }
func (r *StatusRequest) long() bool    { return true }
func (r *ApprovalsRequest) long() bool { return true }
func (r *LogRequest) long() bool       { return true }

// refused is a request that the service has no method for.
func refused(why string) bound {
	return bound{do: func(context.Context) (any, error) { return nil, Errorf(Invalid, "%s", why) }}
}
