package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"time"

	"github.com/hsmpki/hsmpki/pkid/vaultapi"
	"github.com/hsmpki/hsmpki/pkid/wrapping"
)

// wrapTTLOf reads how long the answer is to be kept for another reader. A header
// that is there more than once has to say the same each time, be it nothing:
// somebody on the way may have added one, and what was to be wrapped is secret.
func wrapTTLOf(header http.Header) (time.Duration, error) {
	said := header.Values("X-Vault-Wrap-TTL")
	for _, other := range said {
		if other != said[0] {
			return 0, vaultapi.BadRequest("X-Vault-Wrap-TTL is there twice, with %q and %q", said[0], other)
		}
	}
	if len(said) == 0 || said[0] == "" {
		return 0, nil
	}
	ttl, err := vaultapi.ParseDuration(said[0])
	switch {
	case err != nil:
		return 0, vaultapi.BadRequest("X-Vault-Wrap-TTL: %v", err)
	case ttl < 0 || ttl > wrapping.MaxTTL:
		return 0, vaultapi.BadRequest("X-Vault-Wrap-TTL: %s: an answer is kept for at most %s", ttl, wrapping.MaxTTL)
	case ttl > 0 && ttl < time.Second:
		return 0, vaultapi.BadRequest("X-Vault-Wrap-TTL: %s: must be at least a second", ttl)
	}
	return ttl, nil
}

// wrapped keeps an answer for one reader, where that was asked for, and answers
// where. What says nothing is not kept, and neither is what still waits for
// approval.
func (h *Handler) wrapped(r *request, a *answer) (*answer, error) {
	switch {
	case r.wrapTTL == 0 || a.wrap != nil || a.status == http.StatusAccepted:
		return a, nil
	case a.raw != nil || a.bare != nil || a.stream != nil || a.pour != nil || a.contentType != "":
		return nil, vaultapi.BadRequest("an answer that has no envelope cannot be wrapped")
	case a.data == nil && a.auth == nil:
		return a, nil
	}
	accessor := ""
	if a.auth != nil {
		accessor = a.auth.Accessor
	}
	text, err := json.Marshal(envelope(r, a))
	if err != nil {
		return nil, err
	}
	info, err := h.Wrapping.Wrap(r.ctx, text, r.wrapTTL, r.path, accessor)
	if err != nil {
		return nil, err
	}
	return &answer{wrap: info, status: a.status}, nil
}

// maxWrapped bounds what whoever has the default policy may have kept, in octets.
const maxWrapped = 1 << 20

// wrapParams serves sys/wrapping/wrap: it answers what was sent, to be wrapped.
func wrapParams(_ *Handler, r *request) (*answer, error) {
	if r.wrapTTL == 0 {
		return nil, vaultapi.BadRequest("endpoint requires response wrapping to be used (X-Vault-Wrap-TTL)")
	}
	if text, err := json.Marshal(r.params.Values()); err != nil || len(text) > maxWrapped {
		return nil, vaultapi.BadRequest("what is to be wrapped is longer than the %d octets that are possible", maxWrapped)
	}
	for _, name := range r.params.Names() {
		r.params.Present(name) // none is unknown
	}
	return &answer{data: maps.Clone(r.params.Values())}, nil
}

// wrappingToken is the one that is meant: in the body, or shown as the caller's
// own, which as such it is not.
func wrappingToken(r *request) (string, error) {
	if id := r.params.String("token"); id != "" {
		return id, r.params.Err()
	}
	if err := r.params.Err(); err != nil {
		return "", err
	}
	id, err := tokenOf(r.header)
	if err == nil && (id == "" || r.who.token != nil) {
		err = vaultapi.BadRequest("missing \"token\" value in input data")
	}
	return id, err
}

func notWrapped(err error) error {
	if errors.Is(err, wrapping.ErrNotFound) {
		return vaultapi.BadRequest("%v", err)
	}
	return err
}

// unwrap serves sys/wrapping/unwrap, to whoever has the token.
func unwrap(h *Handler, r *request) (*answer, error) {
	if r.wrapTTL > 0 { // before the answer is forgotten
		return nil, vaultapi.BadRequest("what is unwrapped is not wrapped again: that is sys/wrapping/rewrap")
	}
	id, err := wrappingToken(r)
	if err != nil {
		return nil, err
	}
	text, _, err := h.Wrapping.Unwrap(r.ctx, id)
	if err != nil {
		return nil, notWrapped(err)
	}
	var kept map[string]any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&kept); err != nil {
		return nil, err
	}
	kept["request_id"] = r.id
	return &answer{bare: kept}, nil
}

// lookupWrapped serves sys/wrapping/lookup.
func lookupWrapped(h *Handler, r *request) (*answer, error) {
	id, err := wrappingToken(r)
	if err != nil {
		return nil, err
	}
	info, err := h.Wrapping.Lookup(r.ctx, id)
	if err != nil {
		return nil, notWrapped(err)
	}
	return &answer{data: map[string]any{"creation_path": info.CreationPath, "creation_time": info.CreationTime.Format(time.RFC3339Nano), "creation_ttl": info.TTL}}, nil
}

// rewrap serves sys/wrapping/rewrap: the answer under another token, for as long
// as the first time.
func rewrap(h *Handler, r *request) (*answer, error) {
	id, err := wrappingToken(r)
	if err != nil {
		return nil, err
	}
	text, was, err := h.Wrapping.Unwrap(r.ctx, id)
	if err != nil {
		return nil, notWrapped(err)
	}
	info, err := h.Wrapping.Wrap(r.ctx, text, time.Duration(was.TTL)*time.Second, was.CreationPath, was.WrappedAccessor)
	if err != nil {
		return nil, err
	}
	return &answer{wrap: info}, nil
}
