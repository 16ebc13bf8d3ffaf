package server

import (
	"context"
	"errors"
	"io"

	"github.com/hsmpki/hsmpki/hsmd/managedkey"
	"github.com/hsmpki/hsmpki/wire"
)

// stream is a long message on its way to a token that hashes it, while hsmd
// reads it too: neither holds it. The token signs at the message's end, and is
// given the end when hsmd has recognised the whole, so a message that is refused
// is never signed.
type stream struct {
	srv    *Server
	key    *managedkey.Key
	public *managedkey.Public
	scheme wire.SignatureScheme

	ctx     context.Context
	cancel  context.CancelFunc
	toToken *io.PipeWriter
	ended   chan struct{} // closed when the backend has answered
	answer  *wire.SignResponse
	err     error
}

// errTokenEnded is what the reading of a message fails with when the token has.
var errTokenEnded = errors.New("the token gave up")

// stream opens the way to the token: whoever reads the request's parts from now
// on gives them to the token as well.
func (s *Server) stream(ctx context.Context, k *managedkey.Key, public *managedkey.Public, req *wire.SignRequest) (*stream, error) {
	if err := s.tell(ctx, k); err != nil {
		return nil, err
	}
	st := &stream{srv: s, key: k, public: public, scheme: req.Scheme, ended: make(chan struct{})}
	st.ctx, st.cancel = context.WithCancel(ctx)
	fromClient, toToken := io.Pipe()
	st.toToken = toToken
	ask := &wire.SignRequest{Key: k.Handle, SPKI: public.ID[:], Scheme: req.Scheme, Context: req.Context, Parts: fromClient}
	go func() {
		defer close(st.ended)
		st.answer, st.err = k.Library.Backend.Sign(st.ctx, ask)
		fromClient.CloseWithError(errTokenEnded)
	}()
	req.Parts = io.TeeReader(req.Parts, toToken)
	return st, nil
}

// sign lets the token have the end of the message, and gives its signature,
// checked.
func (st *stream) sign(signed []byte) ([]byte, error) {
	st.toToken.Close()
	<-st.ended
	if st.err != nil {
		return nil, st.srv.signError(st.ctx, st.key, st.err)
	}
	if err := st.srv.checked(st.key, st.public, st.scheme, signed, st.answer.Signature); err != nil {
		return nil, err
	}
	return st.answer.Signature, nil
}

// cause gives the token's failure where it is why the message was not read to
// its end.
func (st *stream) cause(err error) error {
	if st == nil || !errors.Is(err, errTokenEnded) {
		return err
	}
	<-st.ended
	if st.err != nil {
		return st.srv.signError(st.ctx, st.key, st.err)
	}
	return wire.Errorf(wire.Internal, "the token signed a message before its end")
}

// end takes back what was not signed, and waits until nobody reads from the
// client any more.
func (st *stream) end() {
	st.cancel()
	st.toToken.CloseWithError(context.Canceled)
	<-st.ended
}
