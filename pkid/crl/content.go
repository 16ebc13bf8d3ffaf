package crl

import (
	"context"
	"errors"
	"io"
	"strconv"
	"time"

	"github.com/hsmpki/hsmpki/pkid/store"
)

// Content is a list as it is stored.
type Content struct {
	Number   uint64
	Size     int64 // of its DER
	Modified time.Time
	// Tag is another one for each other list of the group.
	Tag string

	list *list
	get  func(part uint32) (*part, error)
}

// Read calls fn with the list. What it is given can be read until it returns.
func (h *Handle) Read(ctx context.Context, fn func(*Content) error) error {
	return h.u.cfg.Store.View(ctx, func(r store.Reader) error {
		rec, err := h.u.record(r, h.g)
		if err != nil {
			return err
		}
		l := rec.of(h.kind)
		if l == nil {
			return ErrNone
		}
		return fn(&Content{
			Number: l.Number, Size: l.Size, Modified: modified(l), Tag: string(h.kind) + "-" + strconv.FormatUint(l.Number, 10), list: l,
			get: func(n uint32) (*part, error) {
				return h.u.inHand.get(r, h.u.space.CRLData(string(h.g), string(h.kind), l.Number, n))
			},
		})
	})
}

// modified is the end of the second in which the list was stored. HTTP tells
// lists apart by the second, and another one of the same second must not count
// as the one that somebody has.
func modified(l *list) time.Time { return l.StoredAt.Truncate(time.Second).Add(time.Second) }

// DER reads the list.
func (c *Content) DER() io.ReadSeeker { return &derReader{c: c} }

// PEM reads the list as PEM (RFC 7468).
func (c *Content) PEM() io.ReadSeeker { return newPEMReader(c.DER(), c.Size) }

// derReader reads parts as they are needed.
type derReader struct {
	c    *Content
	at   int64
	part *part  // that the octet at at is in
	rest []byte // of it, from there on
}

// Read implements [io.Reader].
func (d *derReader) Read(p []byte) (int, error) {
	if d.at >= d.c.Size {
		return 0, io.EOF
	}
	if len(d.rest) == 0 {
		if err := d.open(); err != nil {
			return 0, err
		}
	}
	n := copy(p, d.rest)
	d.rest, d.at = d.rest[n:], d.at+int64(n)
	return n, nil
}

func (d *derReader) open() error {
	l := d.c.list
	tbs := max(d.at-l.Before, 0)
	n := min(uint32(tbs/partSize), l.Parts-1)
	begins := int64(0)
	if n > 0 {
		begins = l.Before + int64(n)*partSize
	}
	part, err := d.c.get(n)
	if err != nil {
		return err
	}
	if d.at-begins >= int64(len(part.octets)) {
		return errors.New("a part of a CRL is damaged")
	}
	d.part, d.rest = part, part.octets[d.at-begins:]
	return nil
}

// Seek implements [io.Seeker].
func (d *derReader) Seek(offset int64, whence int) (int64, error) {
	at, err := seek(offset, whence, d.at, d.c.Size)
	if err == nil && at != d.at {
		d.at, d.part, d.rest = at, nil, nil
	}
	return at, err
}

func seek(offset int64, whence int, now, size int64) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += now
	case io.SeekEnd:
		offset += size
	}
	if offset < 0 {
		return 0, errors.New("seek before the beginning of a CRL")
	}
	return offset, nil
}
