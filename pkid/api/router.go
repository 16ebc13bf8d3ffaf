package api

import (
	"errors"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/hsmpki/hsmpki/pkid/tracing"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// ServeHTTP answers one request, come what may.
func (h *Handler) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	id, began := uuid.NewString(), time.Now()
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Server", "pkid/"+h.Version)
	ctx, span := h.settings.Load().Tracer.Request(req.Context(), req.Header)
	r := &request{ctx: ctx, id: id, path: req.URL.Path, header: req.Header}
	defer func() {
		if fault := recover(); fault != nil {
			if fault == http.ErrAbortHandler { // what was begun cannot be finished
				panic(fault)
			}
			h.Log.Error("panic", "request_id", id, "method", req.Method, "path", req.URL.Path, "panic", fault, "stack", string(debug.Stack()))
			err := errors.New("panic")
			if unrecorded := h.recordAnswer(r, nil, err); unrecorded != nil {
				err = unrecorded
			}
			h.respondError(w, &request{id: id, path: req.URL.Path}, err)
		}
	}()
	told := &told{ResponseWriter: w}
	w = told
	defer func() {
		h.Metrics.Request(r.pattern, string(r.op), told.status, time.Since(began))
		traced(span, r, req.Method, told.status)
	}()
	a, err := h.answer(w, req, r)
	if unrecorded := h.recordAnswer(r, a, err); unrecorded != nil {
		err = unrecorded
	}
	if err != nil {
		h.respondError(w, r, err)
		return
	}
	h.respond(w, req, r, a)
}

// answer is what a request meets, in this order: its path, headers and verb
// are looked at; who asks is told; the route is found, and whether the caller
// may pass is decided before he learns whether there is one; only then is a
// body read. What he asks is in the audit log before anything is done.
func (h *Handler) answer(w http.ResponseWriter, req *http.Request, r *request) (*answer, error) {
	address, query := h.cutQuery(req)
	path, err := cleanPath(address)
	if err != nil {
		return nil, err // and the log has the path as it came
	}
	r.path = path
	if err := checkHeaders(req.Header); err != nil {
		return nil, err
	}
	if r.wrapTTL, err = wrapTTLOf(req.Header); err != nil {
		return nil, err
	}
	if r.op, err = operationOf(req); err != nil {
		return nil, err
	}
	_, deciding := tracing.Start(r.ctx, "authorize")
	rt, err := h.admit(req, r, query)
	deciding.End()
	if err != nil {
		return nil, err
	}
	switch {
	case rt == nil && r.mount == nil && r.login == nil:
		return nil, vaultapi.Errorf(http.StatusNotFound, "no handler for route %q. route entry not found.", r.path)
	case rt == nil:
		return nil, vaultapi.Errorf(http.StatusNotFound, "1 error occurred:\n\t* unsupported path\n\n")
	case wantsHelp(req):
		return &answer{bare: map[string]any{"help": rt.help, "see_also": nil, "openapi": nil}}, nil
	}
	if rt.ops[r.op] == nil {
		return nil, vaultapi.Errorf(http.StatusMethodNotAllowed, "1 error occurred:\n\t* unsupported operation\n\n")
	}
	if r.wrapTTL > 0 && isPublic(r, rt) {
		return nil, vaultapi.BadRequest("what anybody may read is not wrapped")
	}
	warnings, err := h.readParams(w, req, r, rt)
	if err != nil {
		return nil, err
	}
	if r.login != nil {
		if !r.login.Enter() {
			return nil, vaultapi.Errorf(http.StatusNotFound, "no handler for route %q. route entry not found.", r.path)
		}
		defer r.login.Leave()
	}
	r.trail.acted = true
	if err := h.record(r); err != nil {
		return nil, err
	}
	a, err := h.perform(r, rt)
	if err != nil {
		return nil, err
	}
	if a == nil {
		a = &answer{}
	}
	if a.raw == nil && a.bare == nil && a.contentType == "" {
		if unused := r.params.UnusedWarning(); unused != "" {
			warnings = append(warnings, unused)
		}
		a.warnings = append(a.warnings, warnings...)
	}
	return h.wrapped(r, a)
}

// admit tells who asks, finds the route, and decides whether the caller may pass.
func (h *Handler) admit(req *http.Request, r *request, query string) (rt *route, err error) {
	if r.who, err = h.authenticate(req); err != nil {
		return nil, err
	}
	if rt = h.route(r); rt != nil {
		r.pattern = rt.pattern
	}
	r.trail.public = isPublic(r, rt)
	if query != "" && rt != nil { // the mount may have gone meanwhile
		r.vars["request"] = query
	}
	if err := h.useToken(r, rt); err != nil {
		return nil, err
	}
	return rt, authorize(r, rt)
}

// route finds where the path leads: paths of sys/ and auth/token are fixed, all
// others lie below a mount. It is nil where nothing is.
func (h *Handler) route(r *request) (rt *route) {
	r.mount, r.rest = h.Mounts.Find(r.path)
	if strings.HasPrefix(r.path, "sys/") || strings.HasPrefix(r.path, "auth/") {
		if rt, r.vars = find(h.sys, r.path); rt != nil {
			return rt
		}
		return h.routeLogin(r)
	}
	if r.mount == nil || r.mount.Authority == nil {
		return nil
	}
	rt, r.vars = find(h.pki, r.rest)
	return readAsList(r, rt)
}

// routeLogin finds what lies below the path of a way to log in.
func (h *Handler) routeLogin(r *request) (rt *route) {
	path, below := strings.CutPrefix(r.path, "auth/")
	if !below {
		return nil
	}
	if r.login, r.rest = h.Auth.Find(path); r.login == nil {
		return nil
	}
	rt, r.vars = find(h.auth[r.login.Type], r.rest)
	return readAsList(r, rt)
}

// readAsList has GET of what can only be listed answered, and judged, as LIST.
func readAsList(r *request, rt *route) *route {
	if rt != nil && r.op == read && rt.ops[read] == nil && rt.ops[list] != nil {
		r.op = list
	}
	return rt
}

// operationOf reads the verb. PATCH is of JSON merge patches (RFC 7386) only.
func operationOf(req *http.Request) (operation, error) {
	switch req.Method {
	case http.MethodGet, http.MethodHead:
		if text := req.URL.Query().Get("list"); text != "" {
			wanted, err := strconv.ParseBool(text)
			if err != nil {
				return "", vaultapi.BadRequest("list=%q: must be true or false", text)
			}
			if wanted {
				return list, nil
			}
		}
		return read, nil
	case "LIST":
		return list, nil
	case http.MethodPost, http.MethodPut:
		return update, nil
	case http.MethodDelete:
		return delete, nil
	case http.MethodPatch:
		kind, _, _ := strings.Cut(req.Header.Get("Content-Type"), ";")
		if !strings.EqualFold(strings.TrimSpace(kind), "application/merge-patch+json") {
			return "", vaultapi.Errorf(http.StatusUnsupportedMediaType, "PATCH requires Content-Type of 'application/merge-patch+json', provided %q", kind)
		}
		return patch, nil
	}
	return "", vaultapi.Errorf(http.StatusMethodNotAllowed, "method %q is not supported", req.Method)
}

func wantsHelp(req *http.Request) bool {
	wanted, err := strconv.ParseBool(req.URL.Query().Get("help"))
	return err == nil && wanted && req.Method == http.MethodGet
}

// checkHeaders refuses what would change the meaning of the request and is not
// there; other headers of Vault's mean nothing here.
func checkHeaders(header http.Header) error {
	switch ns := header.Get("X-Vault-Namespace"); ns {
	case "", "root", "root/":
	default:
		return vaultapi.BadRequest("namespace %q: there is only the root namespace", ns)
	}
	return nil
}
