package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hsmpki/hsmpki/pkid/issuance"
	"github.com/hsmpki/hsmpki/pkid/store"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
	"github.com/hsmpki/hsmpki/wire"
)

// writeBudget is how long a client may take to read its answer.
const writeBudget = time.Minute

// respond writes an answer; nil is 204.
func (h *Handler) respond(w http.ResponseWriter, req *http.Request, r *request, a *answer) {
	if a == nil {
		a = &answer{}
	}
	maps.Copy(w.Header(), a.header)
	switch {
	case a.pour != nil:
		h.sendPoured(w, r, a)
	case a.stream != nil:
		h.sendStream(w, req, r, a)
	case a.contentType != "" || a.raw != nil:
		w.Header().Set("Content-Type", a.contentType)
		h.write(w, statusOr(a.status, a.raw != nil), a.raw)
	case a.bare != nil:
		h.writeJSON(w, r, statusOr(a.status, true), a.bare)
	case a.data == nil && a.auth == nil && a.wrap == nil && len(a.warnings) == 0:
		w.Header().Set("Content-Type", "application/json")
		h.write(w, statusOr(a.status, false), nil)
	default:
		h.writeJSON(w, r, statusOr(a.status, true), envelope(r, a))
	}
}

func statusOr(status int, something bool) int {
	switch {
	case status != 0:
		return status
	case something:
		return http.StatusOK
	}
	return http.StatusNoContent
}

// envelope wraps data as Vault does, with its fields at the top level too where
// the path asks for it; the envelope's own fields win.
func envelope(r *request, a *answer) any {
	response := vaultapi.Response{RequestID: r.id, Data: a.data, Warnings: a.warnings}
	if a.auth != nil {
		response.Auth = a.auth
	}
	if a.wrap != nil {
		response.WrapInfo = a.wrap
	}
	if r.mount != nil {
		response.MountType = r.mount.Type
	}
	if !a.topLevel {
		return &response
	}
	flat := map[string]any{}
	maps.Copy(flat, a.data)
	maps.Copy(flat, map[string]any{
		"request_id": response.RequestID, "lease_id": "", "renewable": false, "lease_duration": 0,
		"data": a.data, "wrap_info": nil, "warnings": a.warnings, "auth": nil,
	})
	if response.MountType != "" {
		flat["mount_type"] = response.MountType
	}
	return flat
}

// respondError writes an error as the table says, and logs what the caller is
// not told.
func (h *Handler) respondError(w http.ResponseWriter, r *request, err error) {
	e, hidden := h.refusal(r, err)
	said := shortened(err.Error())
	if hidden {
		h.Log.Error("request failed", "request_id", r.id, "operation", string(r.op), "path", r.path, "peer", r.who.remote, "error", said)
	} else {
		h.Log.Debug("request refused", "request_id", r.id, "operation", string(r.op), "path", r.path, "peer", r.who.remote, "status", e.Status, "error", said)
	}
	if e.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(e.RetryAfter.Seconds()))))
	}
	texts := []string{}
	for _, text := range e.Errors {
		texts = append(texts, shortened(text))
	}
	h.writeJSON(w, r, e.Status, map[string]any{"errors": texts})
}

// longestText is how many octets an error may have before the middle of it is
// left out: many repeat what was asked for, which may be megabytes.
const longestText = 4096

func shortened(text string) string {
	if len(text) <= longestText {
		return text
	}
	const end = 512
	out := fmt.Sprintf("%s… (%d octets are left out here) …%s", text[:longestText-end], len(text)-longestText, text[len(text)-end:])
	return strings.ToValidUTF8(out, "") // a character may have been cut
}

// refusal is the table of errors: what each kind is to the client, and whether
// more is to be said to the log alone.
func (h *Handler) refusal(r *request, err error) (_ *vaultapi.Error, hidden bool) {
	if e, is := errors.AsType[*vaultapi.Error](err); is {
		return e, false
	}
	if refused, is := errors.AsType[*issuance.Refusal](err); is {
		return vaultapi.BadRequest("%s", refused.Reason), false
	}
	if e, is := errors.AsType[*wire.Error](err); is {
		status := e.Code.HTTPStatus()
		text := e.Error()
		if status == http.StatusBadRequest && e.Message != "" {
			text = e.Message // the status says what the code would
		}
		out := vaultapi.Errorf(status, "%s", text)
		if e.Code.Retryable() {
			out.RetryAfter = max(e.RetryAfter, time.Second)
		}
		return out, status >= http.StatusInternalServerError
	}
	switch {
	case errors.Is(err, errAudit):
		return vaultapi.Errorf(http.StatusInternalServerError, "%v (request %s; the log says more)", errAudit, r.id), true
	case errors.Is(err, store.ErrReadOnly), errors.Is(err, store.ErrDiskFull), errors.Is(err, store.ErrClosed):
		out := vaultapi.Errorf(http.StatusServiceUnavailable, "the state cannot be written: %v", err)
		out.RetryAfter = 10 * time.Second
		return out, !errors.Is(err, store.ErrDiskFull) // which the store has told
	case errors.Is(err, context.DeadlineExceeded):
		out := vaultapi.Errorf(http.StatusServiceUnavailable, "the request took too long")
		out.RetryAfter = time.Second
		return out, true
	case errors.Is(err, context.Canceled):
		return vaultapi.Errorf(http.StatusRequestTimeout, "the client went away"), false
	}
	return vaultapi.Errorf(http.StatusInternalServerError, "internal error (request %s; the log says more)", r.id), true
}

func (h *Handler) writeJSON(w http.ResponseWriter, r *request, status int, value any) {
	var body bytes.Buffer
	if err := json.NewEncoder(&body).Encode(value); err != nil {
		h.Log.Error("an answer cannot be encoded", "request_id", r.id, "path", r.path, "error", err)
		status = http.StatusInternalServerError
		body.Reset()
		body.WriteString(`{"errors":["internal error"]}`)
	}
	w.Header().Set("Content-Type", "application/json")
	h.write(w, status, body.Bytes())
}

func (h *Handler) write(w http.ResponseWriter, status int, body []byte) {
	// Only a test's recorder has no deadlines.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeBudget))
	if status != http.StatusNoContent && status != http.StatusNotModified {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(status)
	if len(body) > 0 {
		_, _ = w.Write(body) // whoever has gone away does not miss it
	}
}
