package api

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/hsmpki/hsmpki/pkid/token"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// lookupSelf tells of the caller's token.
func lookupSelf(h *Handler, r *request) (*answer, error) {
	if r.who.token == nil {
		return h.lookupPeer(r), nil
	}
	return h.tokenAnswer(r.who.token), nil
}

// lookupPeer answers a peer as a token would be answered: it has policies, and
// neither an id nor an end.
func (h *Handler) lookupPeer(r *request) *answer {
	return &answer{data: map[string]any{
		"accessor": "", "id": "", "path": "peer/" + r.who.name, "display_name": "peer-" + r.who.name, "entity_id": "", "meta": nil,
		"policies": r.who.policies, "type": "service", "orphan": true, "renewable": false, "num_uses": 0,
		"ttl": 0, "creation_ttl": 0, "explicit_max_ttl": 0, "expire_time": nil,
		"creation_time": h.started.Unix(), "issue_time": h.started.UTC().Format(time.RFC3339),
	}}
}

// lookupToken tells of another token; of the caller's own, if none is named.
func lookupToken(h *Handler, r *request) (*answer, error) {
	id := r.params.String("token")
	if id == "" {
		return lookupSelf(h, r)
	}
	t, err := h.Tokens.Lookup(r.ctx, id)
	if errors.Is(err, token.ErrNotFound) {
		return nil, vaultapi.Errorf(http.StatusForbidden, "bad token")
	}
	if err != nil {
		return nil, err
	}
	return h.tokenAnswer(t), nil
}

func lookupAccessor(h *Handler, r *request) (*answer, error) {
	t, err := h.tokenByAccessor(r)
	if err != nil {
		return nil, err
	}
	return h.tokenAnswer(t), nil
}

// tokenByAccessor finds a token by the request's accessor.
func (h *Handler) tokenByAccessor(r *request) (*token.Token, error) {
	accessor := r.params.String("accessor")
	if accessor == "" {
		return nil, vaultapi.BadRequest("missing accessor")
	}
	t, err := h.Tokens.LookupAccessor(r.ctx, accessor)
	if errors.Is(err, token.ErrNotFound) {
		return nil, vaultapi.Errorf(http.StatusForbidden, "invalid accessor")
	}
	return t, err
}

// tokenAnswer describes a token as clients decode it: spans in seconds.
func (h *Handler) tokenAnswer(t *token.Token) *answer {
	seconds := func(d time.Duration) int64 { return int64(d / time.Second) }
	data := map[string]any{
		"accessor": t.Accessor, "id": t.ID, "path": t.Path, "display_name": t.DisplayName, "entity_id": "", "meta": t.Meta,
		"policies": t.Policies, "type": "service", "orphan": t.Orphan(), "renewable": t.Renewable, "num_uses": max(0, t.NumUses),
		"ttl": seconds(t.Left(h.Now())), "creation_ttl": seconds(t.TTL), "explicit_max_ttl": seconds(t.ExplicitMaxTTL), "expire_time": nil,
		"creation_time": t.Created.Unix(), "issue_time": t.Created.Format(time.RFC3339Nano),
	}
	if !t.Expires.IsZero() {
		data["expire_time"] = t.Expires.Format(time.RFC3339Nano)
	}
	if !t.LastRenewal.IsZero() {
		data["last_renewal"] = t.LastRenewal.Format(time.RFC3339Nano)
		data["last_renewal_time"] = t.LastRenewal.Unix()
	}
	if t.Period > 0 {
		data["period"] = seconds(t.Period)
	}
	if t.Role != "" {
		data["role"] = t.Role
	}
	if len(t.BoundCIDRs) > 0 {
		data["bound_cidrs"] = t.BoundCIDRs
	}
	return &answer{data: data}
}

// renewSelf refuses a peer in the words that clients look for: it has no end
// that could be put off.
func renewSelf(h *Handler, r *request) (*answer, error) {
	if r.who.token == nil {
		return nil, vaultapi.BadRequest("%v", token.ErrNotRenewable)
	}
	return h.renew(r, r.who.token)
}

func renewToken(h *Handler, r *request) (*answer, error) {
	id := r.params.String("token")
	if id == "" {
		return renewSelf(h, r)
	}
	t, err := h.Tokens.Lookup(r.ctx, id)
	if err != nil {
		return nil, tokenError(err)
	}
	return h.renew(r, t)
}

func renewAccessor(h *Handler, r *request) (*answer, error) {
	t, err := h.tokenByAccessor(r)
	if err != nil {
		return nil, err
	}
	return h.renew(r, t)
}

func (h *Handler) renew(r *request, t *token.Token) (*answer, error) {
	increment := r.params.Duration("increment", 0)
	if err := r.params.Err(); err != nil {
		return nil, err
	}
	if err := h.mayRenew(r, t); err != nil {
		return nil, err
	}
	renewed, err := h.Tokens.Renew(r.ctx, t, increment)
	if err != nil {
		return nil, tokenError(err)
	}
	return authAnswer(renewed), nil
}

func revokeSelf(h *Handler, r *request) (*answer, error) {
	if r.who.token == nil {
		return nil, vaultapi.BadRequest("a peer has no token that could be revoked")
	}
	return nil, h.Tokens.Revoke(r.ctx, r.who.token)
}

// revokeToken revokes a token with all that descend from it. One that is not
// there any more is revoked.
func revokeToken(h *Handler, r *request) (*answer, error) {
	t, err := h.tokenToRevoke(r)
	if errors.Is(err, token.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return nil, h.Tokens.Revoke(r.ctx, t)
}

// revokeOrphan revokes a token alone: its children go on without a parent.
func revokeOrphan(h *Handler, r *request) (*answer, error) {
	t, err := h.tokenToRevoke(r)
	if errors.Is(err, token.ErrNotFound) {
		return nil, vaultapi.BadRequest("token to revoke not found")
	}
	if err != nil {
		return nil, err
	}
	return nil, h.Tokens.RevokeOrphan(r.ctx, t)
}

func (h *Handler) tokenToRevoke(r *request) (*token.Token, error) {
	id := r.params.String("token")
	if id == "" {
		return nil, vaultapi.BadRequest("missing token ID")
	}
	return h.Tokens.Lookup(r.ctx, id)
}

func revokeAccessor(h *Handler, r *request) (*answer, error) {
	t, err := h.tokenByAccessor(r)
	if err != nil {
		return nil, err
	}
	return nil, h.Tokens.Revoke(r.ctx, t)
}

// revokePrefix revokes what was made at a path and below it, and not what is
// beside it: "auth/jwt" is no prefix of "auth/jwt-nomad/login".
func revokePrefix(h *Handler, r *request) (*answer, error) {
	path := strings.Trim(r.vars["path"], "/")
	return nil, errors.Join(h.Tokens.RevokeAt(r.ctx, path), h.Tokens.RevokeByPath(r.ctx, path+"/"))
}

func listAccessors(h *Handler, r *request) (*answer, error) {
	return keys(h.Tokens.Accessors(r.ctx))
}

// keys answers a list, of which an empty one is not found.
func keys(list []string, err error) (*answer, error) {
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, vaultapi.NotFound()
	}
	return &answer{data: map[string]any{"keys": list}}, nil
}

// tidyTokens deletes what has ended; it is done now and then without being
// asked, so there is nothing that it could miss.
func tidyTokens(h *Handler, r *request) (*answer, error) {
	if err := h.Tokens.Tidy(r.ctx); err != nil {
		return nil, err
	}
	return nil, nil
}

// tokenError makes what a client asked too much a 400, in the words that clients
// look for; what the store says stays a fault.
func tokenError(err error) error {
	for _, refusal := range []error{token.ErrNotFound, token.ErrNotRenewable, token.ErrPastMaxTTL, token.ErrExists, token.ErrTooDeep, token.ErrTooLarge} {
		if errors.Is(err, refusal) {
			return vaultapi.BadRequest("%v", refusal)
		}
	}
	return err
}
