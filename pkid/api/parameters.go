package api

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// maxBody bounds a request's body, in octets, as Vault does.
const maxBody = 32 << 20

// maxStrangerBody bounds that of a request that anybody may send, such as a login.
const maxStrangerBody = 128 << 10

// maxPath bounds a request's path, in octets.
const maxPath = 4 << 10

// cleanPath gives the path below /v1/ without empty segments, which some
// clients send. What could mean another path to somebody else on the way is
// refused: "." and "..", an encoded slash, control characters.
func cleanPath(u *url.URL) (string, error) {
	rest, found := strings.CutPrefix(u.Path, "/v1/")
	escaped := strings.ToLower(u.EscapedPath())
	switch {
	case len(u.Path) > maxPath:
		return "", vaultapi.Errorf(http.StatusRequestURITooLong, "the path is longer than %d octets", maxPath)
	case strings.Contains(escaped, "%2f") || strings.Contains(escaped, "%5c"):
		return "", vaultapi.BadRequest("the path has an encoded slash")
	case !utf8.ValidString(u.Path) || strings.ContainsFunc(u.Path, unicode.IsControl):
		return "", vaultapi.BadRequest("the path has octets that no path has")
	}
	segments := slices.DeleteFunc(strings.Split(rest, "/"), func(s string) bool { return s == "" })
	if slices.Contains(segments, "..") || slices.Contains(segments, ".") || strings.Contains(u.Path, "/../") {
		return "", vaultapi.BadRequest("the path has relative segments")
	}
	if !found || len(segments) == 0 {
		return "", vaultapi.Errorf(http.StatusNotFound, "no handler for route %q. route entry not found.", strings.Trim(u.Path, "/"))
	}
	return strings.Join(segments, "/"), nil
}

// readParams reads the parameters: of an update or a patch from the body, of
// all others from the query. Those that stand in the path win, with a warning.
func (h *Handler) readParams(w http.ResponseWriter, req *http.Request, r *request, rt *route) (warnings []string, err error) {
	switch {
	case r.op == update && rt.body > 0:
		r.params = vaultapi.NewParams(nil)
		if r.body, err = readStart(w, req, rt.body); err != nil {
			return nil, err
		}
	case r.op == update || r.op == patch:
		most := maxBody
		if rt.stranger {
			most = maxStrangerBody
		}
		body, err := readBody(w, req, most)
		if err != nil {
			return nil, err
		}
		if r.op == update && looksLikeForm(body) {
			r.params, err = vaultapi.ParseForm(string(body))
		} else {
			r.params, err = vaultapi.ParseJSON(body)
		}
		if err != nil {
			return nil, err
		}
	default:
		query := req.URL.Query()
		query.Del("list")
		query.Del("help")
		r.params = vaultapi.FromValues(query)
	}
	if err := authorizeParams(r, rt, r.params.Values()); err != nil {
		return nil, err
	}
	var replaced []string
	sent := r.params.Names()
	for name, value := range r.vars {
		if slices.Contains(sent, name) {
			replaced = append(replaced, name)
		}
		r.params.Set(name, value)
		r.params.Present(name) // it is not one that nobody knew
	}
	if len(replaced) > 0 {
		slices.Sort(replaced)
		warnings = append(warnings, fmt.Sprintf("Endpoint replaced the value of these parameters with the values captured from the endpoint's path: %v", replaced))
	}
	return warnings, nil
}

func readBody(w http.ResponseWriter, req *http.Request, most int) ([]byte, error) {
	tooLarge := vaultapi.Errorf(http.StatusRequestEntityTooLarge, "the body is larger than %d octets", most)
	if req.ContentLength > int64(most) {
		w.Header().Set("Connection", "close")
		return nil, tooLarge
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, int64(most)))
	if _, is := errors.AsType[*http.MaxBytesError](err); is {
		return nil, tooLarge
	}
	if err != nil {
		return nil, notWhole(w, err)
	}
	return body, nil
}

func notWhole(w http.ResponseWriter, err error) error {
	w.Header().Set("Connection", "close")
	return vaultapi.Errorf(http.StatusRequestTimeout, "the body did not come whole: %v", err)
}

// readStart reads a body, or of a longer one as many octets and one more, by
// which its reader knows.
func readStart(w http.ResponseWriter, req *http.Request, limit int) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(req.Body, int64(limit)+1))
	if err != nil {
		return nil, notWhole(w, err)
	}
	return body, nil
}

// looksLikeForm tells a form from JSON by what it is: clients send either under
// any Content-Type, or none (curl -d says "form" whatever it sends).
func looksLikeForm(body []byte) bool {
	body = bytes.TrimSpace(body)
	return len(body) > 0 && !bytes.ContainsAny(body[:1], "{[\"") && bytes.Contains(body, []byte("=")) && !bytes.ContainsAny(body, "{}\x00")
}
