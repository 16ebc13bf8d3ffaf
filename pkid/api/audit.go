package api

import (
	"errors"
	"net/netip"
	"strings"

	"github.com/hsmpki/hsmpki/pkid/auditlog"
	"github.com/hsmpki/hsmpki/pkid/listen"
	"github.com/hsmpki/hsmpki/pkid/tracing"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// trail is what the audit log has of one request.
type trail struct {
	public   bool           // what anybody may read is not recorded
	entry    auditlog.Entry // of the request
	asked    auditlog.Line  // its line
	begun    bool           // the line was written
	answered bool           // the answer's too, or that was tried
	acted    bool           // what was asked for may have been done
}

// unrecorded is what the client is told, in Vault's status: the cause is for
// the log.
func unrecorded(err error) error { return errors.Join(errAudit, err) }

var errAudit = errors.New("the audit log cannot be written, without which nothing is done")

// isPublic reports whether the route answers what anybody may read: CRLs, OCSP,
// certificates, health. They are asked for thousands of times a second, by
// people of whom nothing is known. Logging in is not of them.
func isPublic(r *request, rt *route) bool {
	return rt != nil && r.login == nil && !rt.recorded && (rt.stranger || rt.watched && listen.MayWatch(r.ctx))
}

// record writes the line of a request, before anything is done for it.
func (h *Handler) record(r *request) error {
	if h.Audit == nil || r.trail.public {
		return nil
	}
	r.trail.entry = auditlog.Entry{Type: "request", Auth: h.auditCaller(r), Request: h.auditRequest(r)}
	var err error
	if r.trail.asked, err = h.Audit.Append(&r.trail.entry); err != nil {
		return unrecorded(err)
	}
	r.trail.begun = true
	return nil
}

// recordAnswer writes the line of an answer, after that of its request where
// the request was refused before. It returns when both are on the disk, except
// where nothing was done and nothing is given: a stranger who is turned away
// costs no sync.
func (h *Handler) recordAnswer(r *request, a *answer, refused error) error {
	if h.Audit == nil || r.trail.public || r.trail.answered {
		return nil
	}
	r.trail.answered = true
	if errors.Is(refused, errAudit) {
		return nil
	}
	if !r.trail.begun {
		if err := h.record(r); err != nil {
			return err
		}
	}
	e := r.trail.entry
	e.Type, e.Response = "response", h.auditResponse(r, a, refused)
	if refused != nil {
		e.Error = shortened(h.Audit.Redact(refused.Error(), r.sent(), readableOf(r)))
	}
	line, err := h.Audit.Append(&e)
	if err != nil {
		return unrecorded(err)
	}
	if !r.trail.acted {
		return nil
	}
	_, waiting := tracing.Start(r.ctx, "audit log is durable")
	err = errors.Join(r.trail.asked.Wait(r.ctx), line.Wait(r.ctx))
	waiting.End()
	if err != nil && r.ctx.Err() == nil {
		return unrecorded(err)
	}
	return err // the client went away
}

// sent is what was sent as parameters, as far as it was read.
func (r *request) sent() map[string]any {
	if r.params == nil {
		return nil
	}
	return r.params.Values()
}

func (h *Handler) auditCaller(r *request) *auditlog.Auth {
	who := &auditlog.Auth{DisplayName: r.who.name, Policies: r.who.policies, PolicyResults: &auditlog.PolicyResults{Allowed: r.trail.acted}}
	if t := r.who.token; t != nil {
		who.Accessor, who.TokenPolicies, who.TokenType = h.Audit.Hash(t.Accessor), t.Policies, "service"
		who.ClientToken = h.auditToken(r)
	}
	return who
}

// auditToken is the HMAC of the token that was shown, be it one or not.
func (h *Handler) auditToken(r *request) string {
	id, err := tokenOf(r.header)
	if err != nil || id == "" {
		return ""
	}
	return h.Audit.Hash(id)
}

// mostOfStranger bounds what the log has of a stranger's parameters, in octets: a
// login needs less, and he can send as many as he likes.
const mostOfStranger = 1 << 10

func (h *Handler) auditRequest(r *request) *auditlog.Request {
	out := &auditlog.Request{
		ID: r.id, Operation: string(r.op), Path: shortened(r.path), ClientToken: h.auditToken(r),
		Data: h.Audit.Conceal(r.sent(), readableOf(r)), WrapTTL: int64(r.wrapTTL.Seconds()),
	}
	if len(r.who.policies) == 0 {
		out.Data = h.Audit.Shorten(out.Data, mostOfStranger)
	}
	if r.mount != nil {
		out.MountPoint, out.MountType = r.mount.Path, r.mount.Type
	} else if r.login != nil {
		out.MountPoint, out.MountType = "auth/"+r.login.Path, r.login.Type
	}
	from := listen.IdentityOf(r.ctx)
	if from.Peer != nil {
		out.Peer = from.Peer.String()
	}
	out.RemoteAddress = from.Remote // of a proxy's client it has no port
	if at, err := netip.ParseAddrPort(from.Remote); err == nil {
		out.RemoteAddress, out.RemotePort = at.Addr().String(), int(at.Port())
	}
	return out
}

func (h *Handler) auditResponse(r *request, a *answer, refused error) *auditlog.Response {
	if refused != nil {
		e, _ := h.refusal(r, refused)
		return &auditlog.Response{Status: e.Status}
	}
	something := a.raw != nil || a.bare != nil || a.stream != nil || a.pour != nil || a.data != nil || a.auth != nil || a.wrap != nil || len(a.warnings) > 0
	out := &auditlog.Response{Status: statusOr(a.status, something)}
	if r.mount != nil {
		out.MountType = r.mount.Type
	}
	for _, text := range a.warnings {
		out.Warnings = append(out.Warnings, shortened(h.Audit.Redact(text, r.sent(), readableOf(r))))
	}
	data := a.data
	if r.op == list { // how many, as Vault's elide_list_responses
		data = countLists(data)
	}
	out.Data = h.Audit.Conceal(data, readableOf(r))
	if a.wrap != nil {
		out.WrapInfo = &auditlog.WrapInfo{Token: h.Audit.Hash(a.wrap.Token), Accessor: h.Audit.Hash(a.wrap.Accessor), TTL: a.wrap.TTL,
			CreationTime: a.wrap.CreationTime, CreationPath: a.wrap.CreationPath}
		if a.wrap.WrappedAccessor != "" {
			out.WrapInfo.WrappedAccessor = h.Audit.Hash(a.wrap.WrappedAccessor)
		}
	}
	if a.auth != nil {
		out.Auth = &auditlog.Auth{
			ClientToken: h.Audit.Hash(a.auth.ClientToken), Accessor: h.Audit.Hash(a.auth.Accessor), Policies: a.auth.Policies,
			TokenPolicies: a.auth.TokenPolicies, TokenType: a.auth.TokenType, TokenTTL: a.auth.LeaseDuration, Metadata: map[string]string{},
		}
		for name, text := range a.auth.Metadata {
			out.Auth.Metadata[name] = h.Audit.Hash(text)
		}
	}
	return out
}

func countLists(data map[string]any) map[string]any {
	out := make(map[string]any, len(data))
	for name, value := range data {
		switch v := value.(type) {
		case []string:
			out[name] = len(v)
		case []any:
			out[name] = len(v)
		case map[string]any:
			out[name] = len(v)
		default:
			out[name] = value
		}
	}
	return out
}

// readableOf says which parameters and which fields of an answer are shown as
// they are: those of the lists in audit_fields.go, by where the path lies.
// A list for each area, since a name may be a secret in another.
func readableOf(r *request) func(name string) bool {
	var names map[string]bool
	switch {
	case strings.HasPrefix(r.path, "sys/wrapping/"): // whatever somebody wraps, under any name
	case strings.HasPrefix(r.path, "sys/approvals/"): // the answer is that of a path of pki
		names = readablePKI
	case strings.HasPrefix(r.path, "sys/"):
		names = readableSys
	case strings.HasPrefix(r.path, "auth/"):
		names = readableAuth
	case r.mount != nil:
		names = readablePKI
	}
	return func(name string) bool { return names[name] }
}

var auditRoutes = []route{
	{pattern: "sys/audit", help: "Tells where the audit log is.", sudo: true, ops: one(read, readAudit)},
	{pattern: "sys/audit/*path", help: "The audit log is set in the configuration.", sudo: true, ops: both(update, fixedAudit, delete, fixedAudit)},
	{pattern: "sys/audit-hash/*path", help: "Tells the HMAC under which a text stands in the audit log.", ops: one(update, auditHash)},
}

// auditDevice is the name of the only log, that which Vault gives a file's.
const auditDevice = "file"

func readAudit(h *Handler, _ *request) (*answer, error) {
	devices := map[string]any{}
	if h.Audit != nil {
		devices[auditDevice+"/"] = map[string]any{"type": "file", "path": auditDevice + "/", "description": "", "local": false,
			"options": map[string]any{"file_path": h.Audit.Path}}
	}
	return &answer{data: devices, topLevel: true}, nil
}

func fixedAudit(*Handler, *request) (*answer, error) {
	return nil, vaultapi.BadRequest("the audit log is set by audit_log in pkid's configuration, and not here")
}

func auditHash(h *Handler, r *request) (*answer, error) {
	if h.Audit == nil || strings.Trim(r.params.String("path"), "/") != auditDevice {
		return nil, vaultapi.BadRequest("unknown audit backend %q: there is %q where the configuration has audit_log", r.params.String("path"), auditDevice)
	}
	input := r.params.String("input")
	if input == "" {
		return nil, vaultapi.BadRequest("the \"input\" parameter is empty")
	}
	return &answer{data: map[string]any{"hash": h.Audit.Hash(input)}, topLevel: true}, nil
}
