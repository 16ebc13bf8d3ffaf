package server

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/hsmpki/hsmpki/hsmd/managedkey"
	"github.com/hsmpki/hsmpki/hsmd/responder"
	"github.com/hsmpki/hsmpki/wire"
)

// stream is a long message on its way to a token that hashes it, while hsmd
// reads it too: neither holds it. The token signs at the message's end, and is
// given the end when hsmd has recognised the whole, so a message that is refused
// is never signed.
type stream struct {
	place
	srv    *Server
	scheme wire.SignatureScheme

	ctx     context.Context
	cancel  context.CancelFunc
	toToken *io.PipeWriter
	ended   chan struct{} // closed when the backend has answered
	answer  *wire.SignResponse
	err     error
}

// place is the token that a message in parts goes to.
type place struct {
	key    *managedkey.Key
	public *managedkey.Public // as it was found there
	copy   *managedkey.Copy   // nil: the only place of the key
}

// hashesItself gives the token that is to have the message itself, if any is.
func (s *Server) hashesItself(k *managedkey.Key, public *managedkey.Public, delegate *responder.Key, req *wire.SignRequest) (place, bool) {
	if delegate != nil || req.Parts == nil {
		return place{}, false
	}
	if k.Copies == nil {
		return place{key: k, public: public}, public.HashedByToken(req.Scheme)
	}
	return s.streamTo(k, public, req.Scheme)
}

// errTokenEnded is what the reading of a message fails with when the token has.
var errTokenEnded = errors.New("the token gave up")

// stream opens the way to the token: whoever reads the request's parts from now
// on gives them to the token as well.
func (s *Server) stream(ctx context.Context, to place, req *wire.SignRequest) (*stream, error) {
	st := &stream{srv: s, place: to, scheme: req.Scheme, ctx: ctx, ended: make(chan struct{})}
	if err := s.tell(ctx, to.key); err != nil {
		return nil, st.failed(err)
	}
	st.ctx, st.cancel = context.WithCancel(ctx)
	fromClient, toToken := io.Pipe()
	st.toToken = toToken
	ask := &wire.SignRequest{Key: to.key.Handle, SPKI: to.public.ID[:], Scheme: req.Scheme, Context: req.Context, Parts: fromClient}
	go func() {
		defer close(st.ended)
		st.answer, st.err = to.key.Library.Backend.Sign(st.ctx, ask)
		fromClient.CloseWithError(errTokenEnded)
	}()
	req.Parts = io.TeeReader(req.Parts, toToken)
	return st, nil
}

// sign lets the token have the end of the message, and gives its signature,
// checked.
func (st *stream) sign(signed []byte) ([]byte, error) {
	began := time.Now()
	st.toToken.Close()
	<-st.ended
	if st.err != nil {
		return nil, st.failed(st.srv.signError(st.ctx, st.key, st.err))
	}
	st.srv.numbers.atTheToken(st.key.Name(), st.key.Library.Name, time.Since(began))
	if err := st.srv.checked(st.key, st.public, st.scheme, signed, st.answer.Signature); err != nil {
		return nil, st.failed(err)
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
		return st.failed(st.srv.signError(st.ctx, st.key, st.err))
	}
	return wire.Errorf(wire.Internal, "the token signed a message before its end")
}

// failed leaves the copy aside. The message may be used up, and so the request
// fails; the next one goes to another.
func (st *stream) failed(err error) error {
	if st.copy != nil {
		st.srv.failedBy(st.ctx, st.copy, err)
	}
	return err
}

// end takes back what was not signed, and waits until nobody reads from the
// client any more.
func (st *stream) end() {
	st.cancel()
	st.toToken.CloseWithError(context.Canceled)
	<-st.ended
}
