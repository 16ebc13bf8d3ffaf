package daemon

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/test/secret"
)

// Answer is what pkid answered.
type Answer struct {
	Status int         `json:"-"`
	Header http.Header `json:"-"`
	Body   []byte      `json:"-"`

	Data     map[string]any // "data" of the envelope
	Errors   []string
	Warnings []string
}

// Request sends one request to a path below /v1/ and reads the answer. The body
// is marshalled unless it is a []byte, which goes as it is.
func (p *PKID) Request(method, path string, body any) (*Answer, error) {
	raw, ok := body.([]byte)
	if !ok && body != nil {
		var err error
		if raw, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	learn(raw)
	req, err := http.NewRequest(method, "http://pkid/v1/"+path, bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	resp, err := p.HTTP.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	a := &Answer{Status: resp.StatusCode, Header: resp.Header}
	if a.Body, err = io.ReadAll(resp.Body); err != nil {
		return nil, err
	}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") && len(a.Body) > 0 {
		if err := json.Unmarshal(a.Body, a); err != nil {
			return nil, err
		}
		learn(a.Body)
	}
	return a, nil
}

// learn makes known what a request or an answer has of secrets.
func learn(body []byte) {
	var value any
	if json.Unmarshal(body, &value) == nil {
		secret.AddFields(value)
	}
}

// Must is Request for what has to succeed.
func (p *PKID) Must(t testing.TB, method, path string, body any) *Answer {
	t.Helper()
	a, err := p.Request(method, path, body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	if a.Status/100 != 2 {
		t.Fatalf("%s %s: status %d: %s", method, path, a.Status, a.Body)
	}
	return a
}

// Refused is Request for what has to be refused with a status and an error
// that has these words in it.
func (p *PKID) Refused(t testing.TB, method, path string, body any, status int, words string) *Answer {
	t.Helper()
	a, err := p.Request(method, path, body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	if a.Status != status || !strings.Contains(strings.Join(a.Errors, "\n"), words) {
		t.Errorf("%s %s: status %d, %s; want %d with %q", method, path, a.Status, a.Body, status, words)
	}
	return a
}

// String is a field of the answer's data, which has to be a string.
func (a *Answer) String(t testing.TB, field string) string {
	t.Helper()
	s, ok := a.Data[field].(string)
	if !ok || s == "" {
		t.Fatalf("no %s in %s", field, a.Body)
	}
	return s
}
