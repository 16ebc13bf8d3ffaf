package api

import (
	"encoding/json"
	"errors"
	"maps"
	"math"
	"math/big"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hsmpki/hsmpki/pkid/ca"
	"github.com/hsmpki/hsmpki/pkid/hsm"
	"github.com/hsmpki/hsmpki/pkid/pending"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
	"github.com/hsmpki/hsmpki/wire"
)

// perform does what a request asks for, or has it wait where people have to
// approve the signature at hsmd first.
func (h *Handler) perform(r *request, rt *route) (*answer, error) {
	if rt.waits && r.draw.Now.IsZero() {
		var err error
		if r.draw, err = ca.NewDraw(h.Now()); err != nil {
			return nil, err
		}
	}
	a, err := rt.ops[r.op](h, r)
	waits, is := errors.AsType[*wire.Error](err)
	switch {
	case !is || waits.Code != wire.Pending || r.mount == nil || r.mount.Authority == nil:
		return a, err
	case strings.Contains(rt.pattern, "crl/rotate"): // which comes to the same list by itself
		return nil, err
	case !rt.waits:
		return nil, vaultapi.BadRequest("%s. A request of this path cannot wait for it: what it makes beside the signature would be another the next time (for a certificate, sign a CSR)", waits.Message)
	}
	return h.wait(r, waits)
}

// wait keeps a request whose signature waits for approval, so that the same can
// be asked for again, and answers where to ask.
func (h *Handler) wait(r *request, waits *wire.Error) (*answer, error) {
	params, err := json.Marshal(r.params.Values())
	if err != nil {
		return nil, err
	}
	record := &pending.Request{ID: waits.ID, Path: r.path, Params: params, Requester: r.who.name, Alias: r.who.alias, RequestID: r.id, Until: waits.Until,
		Now: r.draw.Now, Serial: r.draw.Serial.Bytes(), New: r.draw.New}
	if err := h.Pending.Put(r.ctx, record); err != nil {
		return nil, err
	}
	return stillWaits(record, waits), nil
}

func stillWaits(record *pending.Request, waits *wire.Error) *answer {
	return &answer{
		status: http.StatusAccepted,
		data:   map[string]any{"approval_id": record.ID, "poll": "sys/approvals/" + record.ID, "until": record.Until.UTC().Format(time.RFC3339)},
		warnings: []string{
			waits.Message + ". Ask for sys/approvals/" + record.ID + " until it is there.",
		},
		header: http.Header{"Retry-After": {strconv.Itoa(int(math.Ceil(max(waits.RetryAfter, time.Second).Seconds())))}},
	}
}

// listApprovals serves LIST sys/approvals.
func listApprovals(h *Handler, r *request) (*answer, error) {
	all, err := h.Pending.List(r.ctx)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, vaultapi.NotFound()
	}
	keys, info := []string{}, map[string]any{}
	for _, one := range all {
		keys = append(keys, one.ID)
		info[one.ID] = map[string]any{"path": one.Path, "requester": one.Requester, "asked": one.Now.UTC().Format(time.RFC3339), "until": one.Until.UTC().Format(time.RFC3339)}
	}
	return &answer{data: map[string]any{"keys": keys, "key_info": info}}, nil
}

// deleteApproval serves DELETE sys/approvals/:id. hsmd forgets it at its end.
func deleteApproval(h *Handler, r *request) (*answer, error) {
	return nil, h.Pending.Delete(r.ctx, r.vars["id"])
}

// readApproval serves GET sys/approvals/:id: it does again what waited, and
// answers as that would. Who asks has to have the right to that, too.
func readApproval(h *Handler, r *request) (*answer, error) {
	done, err := h.Pending.Turn(r.ctx, r.vars["id"])
	if err != nil {
		return nil, err
	}
	defer done()
	record, err := h.Pending.Get(r.ctx, r.vars["id"])
	if err != nil {
		return nil, err
	}
	if record == nil {
		return nil, vaultapi.NotFound()
	}
	again := &request{ctx: r.ctx, id: record.RequestID, op: update, path: record.Path, header: r.header, who: r.who, wrapTTL: r.wrapTTL,
		draw: ca.Draw{Now: record.Now, Serial: new(big.Int).SetBytes(record.Serial), New: record.New}}
	rt := h.route(again)
	if rt == nil || !rt.waits {
		return nil, vaultapi.BadRequest("%s: there is no such path any more", record.Path)
	}
	if again.params, err = vaultapi.ParseJSON(record.Params); err != nil {
		return nil, err
	}
	sent := maps.Clone(again.params.Values())
	maps.DeleteFunc(sent, func(name string, _ any) bool { _, ofPath := again.vars[name]; return ofPath })
	if err := authorizeParams(again, rt, sent); err != nil {
		return nil, err
	}
	for name, value := range again.vars {
		again.params.Set(name, value)
	}
	again.who.name, again.who.alias = record.Requester, record.Alias
	return h.repeat(again, rt, record)
}

// repeat does it, unless it was done and only the answer was lost.
func (h *Handler) repeat(again *request, rt *route, record *pending.Request) (*answer, error) {
	there, err := again.mount.Authority.Issued(again.ctx, again.draw.Serial)
	if err != nil {
		return nil, err
	}
	a := &answer{data: map[string]any{}}
	if there != nil {
		a.data["certificate"] = ca.PEM("CERTIFICATE", there.DER)
	} else {
		again.ctx = hsm.Repeating(again.ctx, record.ID)
		a, err = rt.ops[update](h, again)
		said, is := errors.AsType[*wire.Error](err)
		switch {
		case is && said.Code == wire.Pending:
			return stillWaits(record, said), nil
		case is && said.Code == wire.Denied && said.ID == record.ID:
			return nil, vaultapi.BadRequest("what the certificate depends on has changed since (role, issuer or URLs), so that it would be another than the one that waits: ask for it anew (%s)", said.Message)
		case err != nil:
			return nil, err
		}
	}
	return a, h.Pending.Delete(again.ctx, record.ID)
}
