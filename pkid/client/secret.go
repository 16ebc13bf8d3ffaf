package client

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Secret is Vault's envelope around an answer's data. Numbers in Data are
// json.Number.
type Secret struct {
	RequestID     string         `json:"request_id"`
	LeaseID       string         `json:"lease_id"`
	LeaseDuration int            `json:"lease_duration"`
	Renewable     bool           `json:"renewable"`
	Data          map[string]any `json:"data"`
	Auth          *Auth          `json:"auth"`
	Warnings      []string       `json:"warnings"`
	WrapInfo      *WrapInfo      `json:"wrap_info"`

	// Bare holds all top-level fields: sys/health and its kin answer without
	// an envelope.
	Bare map[string]any `json:"-"`
}

// WrapInfo is where an answer is kept instead.
type WrapInfo struct {
	Token           string    `json:"token"`
	Accessor        string    `json:"accessor"`
	TTL             int       `json:"ttl"` // seconds
	CreationTime    time.Time `json:"creation_time"`
	CreationPath    string    `json:"creation_path"`
	WrappedAccessor string    `json:"wrapped_accessor"`
}

// Auth is a token that was made, by a login or another token, or renewed.
type Auth struct {
	ClientToken      string            `json:"client_token"`
	Accessor         string            `json:"accessor"`
	Policies         []string          `json:"policies"`
	TokenPolicies    []string          `json:"token_policies"`
	IdentityPolicies []string          `json:"identity_policies"`
	Metadata         map[string]string `json:"metadata"`
	LeaseDuration    int               `json:"lease_duration"`
	Renewable        bool              `json:"renewable"`
}

func (s *Secret) read(raw []byte) error {
	for _, v := range []any{s, &s.Bare} {
		d := json.NewDecoder(bytes.NewReader(raw))
		d.UseNumber()
		if err := d.Decode(v); err != nil {
			return err
		}
	}
	return nil
}

// ResponseError is a refusal by the server.
type ResponseError struct {
	Method     string
	URL        string
	Status     int
	Errors     []string
	Warnings   []string
	RetryAfter time.Duration
}

func (e *ResponseError) read(raw []byte) {
	var body struct {
		Errors   []string `json:"errors"`
		Warnings []string `json:"warnings"`
	}
	if json.Unmarshal(raw, &body) == nil {
		e.Errors, e.Warnings = body.Errors, body.Warnings
	}
}

// Error is laid out as Vault's CLI does, which people grep.
func (e *ResponseError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Error making API request.\n\nURL: %s %s\nCode: %d. Errors:\n", e.Method, e.URL, e.Status)
	if len(e.Errors) == 0 {
		fmt.Fprintf(&b, "\n* %s", http.StatusText(e.Status))
	}
	for _, text := range e.Errors {
		fmt.Fprintf(&b, "\n* %s", text)
	}
	return b.String()
}

// NotFound reports whether the server has nothing under the path, as opposed
// to not knowing the path.
func (e *ResponseError) NotFound() bool {
	return e.Status == http.StatusNotFound && len(e.Errors) == 0
}

func (e *ResponseError) retryable() bool {
	return e.Status == http.StatusTooManyRequests || e.Status == http.StatusServiceUnavailable
}

// pause is the server's wish, within reason, or a wait that doubles.
func (e *ResponseError) pause(attempt int) time.Duration {
	if e.RetryAfter > 0 {
		return min(e.RetryAfter, 5*time.Second)
	}
	return 250 * time.Millisecond << min(attempt, 4)
}
