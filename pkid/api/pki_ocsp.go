package api

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/hsmpki/hsmpki/pkid/ocsp"
)

// ocspRoutes are the OCSP responder's. Whatever it says is an OCSPResponse.
var ocspRoutes = []route{
	{pattern: "ocsp", help: "Answer an OCSP query (application/ocsp-request)", stranger: true, body: ocsp.MaxRequest, ops: one(update, pkiOCSP)},
	{pattern: "ocsp/*request", help: "Answer an OCSP query (base64)", stranger: true, ops: one(read, pkiOCSPGet)},
}

// pkiOCSP serves POST ocsp.
func pkiOCSP(h *Handler, r *request) (*answer, error) {
	return h.ocspAnswer(r.mount.Responder.Respond(r.ctx, r.body, r.who.remote), false), nil
}

// pkiOCSPGet serves GET ocsp/:query, where the answer may be one that the
// client has.
func pkiOCSPGet(h *Handler, r *request) (*answer, error) {
	der, err := ocsp.DecodePath(r.vars["request"])
	if err != nil {
		der = nil // is malformed, as any other that cannot be read
	}
	response := r.mount.Responder.Respond(r.ctx, der, r.who.remote)
	a := h.ocspAnswer(response, true)
	if response.Matches(r.header.Get("If-None-Match")) {
		a.status, a.raw = http.StatusNotModified, nil
	}
	return a, nil
}

func (h *Handler) ocspAnswer(response *ocsp.Response, get bool) *answer {
	return &answer{status: response.HTTPStatus(), raw: response.DER, contentType: ocsp.ResponseType, header: response.Header(get, h.Now())}
}

// cutQuery takes the OCSP query out of the path of a GET, as it came: it is
// base64, in which "/" and "//" part no segments and "%2F" hides nothing. In
// its place the address has "-". The query is empty where there is none.
func (h *Handler) cutQuery(req *http.Request) (address *url.URL, query string) {
	const path = "/ocsp/"
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		return req.URL, ""
	}
	escaped := req.URL.EscapedPath()
	for at := 0; ; at++ {
		found := strings.Index(escaped[at:], path)
		if found < 0 || at+found > maxPath { // no mount's path is as long
			return req.URL, ""
		}
		at += found
		above, err := url.PathUnescape(escaped[:at])
		if err != nil {
			return req.URL, ""
		}
		mount, err := cleanPath(&url.URL{Path: above})
		if err != nil {
			continue
		}
		if m := h.Mounts.Get(mount); m != nil && !m.BuiltIn && escaped[at+len(path):] != "" {
			return &url.URL{Path: above + path + "-"}, escaped[at+len(path):]
		}
	}
}
