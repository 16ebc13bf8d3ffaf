package api

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/hsmpki/hsmpki/pkid/tracing"
)

// traced ends the span of a request, which has the request's id: by it the lines
// of both daemons' logs are found. Of the path it has what the route is, and not
// what a stranger wrote there.
func traced(span tracing.Span, r *request, method string, status int) {
	if span.IsZero() {
		return
	}
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, "LIST":
	default:
		method = "_OTHER"
	}
	name := method
	if r.pattern != "" {
		route := "/v1/" + r.pattern
		switch {
		case strings.HasPrefix(r.pattern, "sys/"), strings.HasPrefix(r.pattern, "auth/"):
		case r.login != nil:
			route = "/v1/auth/:mount/" + r.pattern
			span.Set("pkid.mount", r.login.Path)
		case r.mount != nil:
			route = "/v1/:mount/" + r.pattern
			span.Set("pkid.mount", r.mount.Path)
		}
		span.Set("http.route", route)
		name += " " + route
	}
	span.Rename(name)
	span.Set("pkid.request_id", r.id)
	span.Set("http.request.method", method)
	span.SetNumber("http.response.status_code", status)
	if status >= http.StatusInternalServerError || status == 0 { // of a panic
		span.Fail(strconv.Itoa(status))
	}
	span.End()
}
