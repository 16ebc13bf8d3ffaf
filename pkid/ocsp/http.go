package ocsp

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// The media types of RFC 6960, appendix C.
const (
	RequestType  = "application/ocsp-request"
	ResponseType = "application/ocsp-response"
)

// DecodePath takes a query out of the path of a GET (RFC 6960, appendix A.1):
// what follows the responder's own path, escaped as it came. It is base64 and
// then URL-encoded, but "/" and "+" are often left as they are, padding left
// out, and the alphabet of base64url used (RFC 4648, section 5). Path elements
// must not have been cleaned: "//" is base64, too.
func DecodePath(escaped string) ([]byte, error) {
	text, err := url.PathUnescape(escaped)
	if err != nil {
		return nil, errMalformed
	}
	text = strings.TrimRight(strings.NewReplacer("-", "+", "_", "/", " ", "+").Replace(text), "=")
	// One slash too many is a client's that joins a URL ending in "/" to "/…". A
	// query is a SEQUENCE, and those begin with "M".
	if rest, ok := strings.CutPrefix(text, "/M"); ok {
		text = "M" + rest
	}
	der, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") || len(der) > MaxRequest {
		return nil, errMalformed
	}
	return der, nil
}

// share marks an answer as one that caches may keep.
func (r *Response) share() {
	sum := sha256.Sum256(r.DER)
	r.Cacheable, r.etag = true, `"`+hex.EncodeToString(sum[:])+`"`
}

// HTTPStatus is what goes with the answer. Vault's statuses, where it has one.
func (r *Response) HTTPStatus() int {
	switch r.Status {
	case Successful:
		return http.StatusOK
	case MalformedRequest:
		return http.StatusBadRequest
	case Unauthorized:
		return http.StatusUnauthorized
	case TryLater:
		if r.Limited {
			return http.StatusTooManyRequests
		}
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// Header has the fields of the answer to a GET or POST (RFC 5019, section 6):
// what may be shared, caches may keep until half of its life is over, when the
// responder makes another. All else is not to be stored.
func (r *Response) Header(get bool, now time.Time) http.Header {
	h := http.Header{"Content-Type": {ResponseType}, "Cache-Control": {"no-store"}}
	if r.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(r.RetryAfter.Seconds()))))
	}
	if !get || !r.Cacheable {
		return h
	}
	age := max(0, int(r.halfLife().Sub(now).Seconds()))
	h.Set("Cache-Control", fmt.Sprintf("max-age=%d, public, no-transform, must-revalidate", age))
	h.Set("Last-Modified", r.ThisUpdate.UTC().Format(http.TimeFormat))
	h.Set("Expires", r.NextUpdate.UTC().Format(http.TimeFormat))
	h.Set("ETag", r.etag)
	return h
}

// Matches reports whether a client that sends this If-None-Match has the answer
// already (RFC 9110, section 13.1.2).
func (r *Response) Matches(ifNoneMatch string) bool {
	if !r.Cacheable {
		return false
	}
	for tag := range strings.SplitSeq(ifNoneMatch, ",") {
		if tag = strings.TrimSpace(tag); tag == "*" || strings.TrimPrefix(tag, "W/") == r.etag {
			return true
		}
	}
	return false
}
