package fakekms

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// skew is how far a request's time may be off.
const skew = 15 * time.Minute

// authenticate holds a request against its signature (AWS Signature Version 4):
// the one principal's, over what was sent, for this service and region, of now.
func (s *Server) authenticate(r *http.Request, body []byte) *Failure {
	scheme, rest, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if scheme != "AWS4-HMAC-SHA256" {
		return fail("MissingAuthenticationTokenException", "Missing Authentication Token")
	}
	parts := map[string]string{}
	for _, part := range strings.Split(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		parts[name] = value
	}
	scope := strings.Split(parts["Credential"], "/")
	if len(scope) != 5 || scope[3] != "kms" || scope[4] != "aws4_request" {
		return fail("IncompleteSignatureException", "Credential must have the form <key>/<date>/<region>/kms/aws4_request")
	}
	if scope[0] != AccessKey {
		return fail("UnrecognizedClientException", "The security token included in the request is invalid.")
	}
	if scope[2] != s.region {
		return fail("InvalidSignatureException", "Credential should be scoped to a valid region.")
	}
	date := r.Header.Get("X-Amz-Date")
	at, err := time.Parse("20060102T150405Z", date)
	if err != nil || s.now().Sub(at).Abs() > skew || !strings.HasPrefix(date, scope[1]) {
		return fail("InvalidSignatureException", "Signature expired: "+date+" is not of now")
	}
	signed := strings.Split(parts["SignedHeaders"], ";")
	for _, must := range []string{"host", "x-amz-date", "x-amz-target"} {
		if !slices.Contains(signed, must) {
			return fail("InvalidSignatureException", "'"+must+"' must be a signed header")
		}
	}
	text := strings.Join([]string{"AWS4-HMAC-SHA256", date, strings.Join(scope[1:], "/"), hexHash([]byte(canonical(r, signed, body)))}, "\n")
	key := []byte("AWS4" + SecretKey)
	for _, step := range scope[1:] {
		key = mac(key, step)
	}
	if want := hex.EncodeToString(mac(key, text)); !hmac.Equal([]byte(want), []byte(parts["Signature"])) {
		return fail("InvalidSignatureException", "The request signature we calculated does not match the signature you provided.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.faults.expired > 0 {
		s.faults.expired--
		return fail("ExpiredTokenException", "The security token included in the request is expired")
	}
	return nil
}

// canonical is the canonical request; KMS has one path and no query.
func canonical(r *http.Request, signed []string, body []byte) string {
	lines := []string{r.Method, "/", ""}
	for _, name := range signed {
		value := strings.Join(r.Header.Values(name), ",")
		switch name {
		case "host":
			value = r.Host
		case "content-length":
			value = r.Header.Get("Content-Length")
			if value == "" {
				value = strconv.FormatInt(r.ContentLength, 10)
			}
		}
		lines = append(lines, name+":"+strings.Join(strings.Fields(value), " "))
	}
	return strings.Join(append(lines, "", strings.Join(signed, ";"), hexHash(body)), "\n")
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func hexHash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
