package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// read takes answers off the connection until it breaks.
func (c *Client) read(in *reader) {
	for {
		frame, err := in.next(MaxFrame)
		if err == nil {
			err = c.dispatch(frame)
		}
		if err != nil {
			c.end(err)
			return
		}
	}
}

// end fails everything that is pending.
func (c *Client) end(err error) {
	c.fail(broken(err))
	c.mu.Lock()
	pending, reason := c.pending, c.err
	c.pending = map[uint64]*call{}
	c.mu.Unlock()
	for _, k := range pending {
		k.done <- reason
	}
	close(c.done)
}

func (c *Client) dispatch(frame []byte) error {
	h, body, err := parseHeader(frame)
	if err != nil {
		return err
	}
	if h.Kind == kindFailure && h.ID == 0 {
		return c.farewell(body)
	}
	c.mu.Lock()
	k := c.pending[h.ID]
	if k != nil && h.Kind != kindCredit && !(h.Kind == kindAnswer && h.More) {
		delete(c.pending, h.ID)
	}
	c.mu.Unlock()
	if k == nil {
		return fmt.Errorf("%w: an answer to no request", errFrame)
	}
	k.steps.add(h.Steps)
	switch h.Kind {
	case kindCredit:
		return k.moreCredit()
	case kindAnswer:
		if h.More || k.body != nil {
			if len(k.body)+len(body) > MaxAnswer {
				return fmt.Errorf("%w: an answer above %d octets", errFrame, MaxAnswer)
			}
			k.body = append(k.body, body...)
			body = k.body
		}
		if h.More {
			return nil
		}
		err = nil
		if !k.gone.Load() {
			err = decode(body, k.response)
		}
		<-c.slots
		if err != nil {
			k.done <- Errorf(Internal, "the answer cannot be read: %v", err)
			return fmt.Errorf("%w: answer: %w", errFrame, err)
		}
		k.done <- nil
		return nil
	case kindFailure:
		var f Fault
		err := decode(body, &f)
		<-c.slots
		if err != nil || !f.Code.Known() {
			k.done <- Errorf(Internal, "the failure cannot be read")
			return fmt.Errorf("%w: failure: %v", errFrame, err)
		}
		f.Message = clean(f.Message)
		k.done <- f.Err()
		return nil
	}
	k.done <- Errorf(Internal, "the peer broke the protocol")
	return fmt.Errorf("%w: a frame of kind %d from a server", errFrame, h.Kind)
}

// farewell is the server's last word before it hangs up.
func (c *Client) farewell(body []byte) error {
	var f Fault
	if err := decode(body, &f); err != nil {
		return fmt.Errorf("%w: failure: %w", errFrame, err)
	}
	return errors.New(clean(f.Message))
}

func (k *call) moreCredit() error {
	if k.credit == nil {
		return fmt.Errorf("%w: credit for a request without parts", errFrame)
	}
	select {
	case k.credit <- struct{}{}:
		return nil
	default:
		return fmt.Errorf("%w: more credit than was used", errFrame)
	}
}

// sendParts sends what r gives in parts, as credit allows. It ends without an
// error when the answer is there already: then the server wants no more.
func (c *Client) sendParts(ctx context.Context, id uint64, k *call, r io.Reader) error {
	buf := make([]byte, MaxPart)
	n, err := io.ReadFull(r, buf)
	for {
		last := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !last {
			return Errorf(Internal, "reading the message to be signed: %v", err)
		}
		// A full buffer may be the last: look ahead before saying so.
		var ahead [1]byte
		var extra int
		if !last {
			extra, err = io.ReadFull(r, ahead[:])
			last = errors.Is(err, io.EOF)
			if err != nil && !last {
				return Errorf(Internal, "reading the message to be signed: %v", err)
			}
		}
		select {
		case <-k.credit:
		case err := <-k.done:
			k.done <- err // ask takes it from there
			return nil
		case <-ctx.Done():
			return waited(ctx.Err())
		}
		if err := c.out.sendFrame(&header{Kind: kindPart, ID: id, More: !last}, buf[:n]); err != nil {
			c.fail(broken(err))
			return nil // ask hears of it by k.done
		}
		if last {
			return nil
		}
		copy(buf, ahead[:extra])
		n, err = io.ReadFull(r, buf[extra:])
		n += extra
		if errors.Is(err, io.EOF) && n > 0 {
			err = io.ErrUnexpectedEOF
		}
	}
}
