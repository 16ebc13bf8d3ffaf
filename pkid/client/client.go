// Package client sends requests of Vault's HTTP API to pkid over a Unix socket
// or TLS. It knows addresses, tokens, retries and the envelope; it knows
// nothing of what the paths mean. Start at [New] and [Client.Do].
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// maxAnswer bounds what is read of an answer: a complete CRL may be large.
const maxAnswer = 256 << 20

// Client talks to one pkid. It is safe for concurrent use.
type Client struct {
	cfg  Config
	base url.URL
	http *http.Client
}

// New checks the configuration and makes a client. It does not connect.
func New(cfg Config) (*Client, error) {
	transport := &http.Transport{MaxIdleConnsPerHost: 16, IdleConnTimeout: time.Minute}
	c := &Client{cfg: cfg}
	if path, ok := strings.CutPrefix(cfg.Address, "unix://"); ok {
		if path == "" {
			return nil, fmt.Errorf("address %q names no socket", cfg.Address)
		}
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		}
		c.base = url.URL{Scheme: "http", Host: "localhost"}
	} else {
		base, err := parseAddress(cfg.Address)
		if err != nil {
			return nil, err
		}
		c.base = *base
		if transport.TLSClientConfig, err = cfg.TLS.config(); err != nil {
			return nil, err
		}
		transport.Proxy = http.ProxyFromEnvironment
	}
	c.http = &http.Client{
		Transport: transport,
		Timeout:   cfg.Timeout,
		// A token must not follow a redirect to somebody else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

// WithToken is the same client showing another token, or none.
func (c *Client) WithToken(token string) *Client {
	other := *c
	other.cfg.Token = token
	return &other
}

// HasToken reports whether the client shows a token.
func (c *Client) HasToken() bool { return c.cfg.Token != "" }

func parseAddress(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("address %q is none of unix:///path, https://host:port, http://127.0.0.1:port", address)
	}
	if u.Scheme == "http" && !isLoopback(u.Hostname()) {
		return nil, fmt.Errorf("address %q: http is spoken to the loopback address only; use https", address)
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host, Path: strings.TrimSuffix(u.Path, "/")}, nil
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// Request is one call. Body, where it is not nil, is sent as JSON; Raw is sent
// as it is. Path is relative to /v1/.
type Request struct {
	Method string
	Path   string
	Query  url.Values
	Body   any
	Raw    []byte
	Header http.Header
}

// URL is where a request goes, for messages.
func (c *Client) URL(r *Request) string {
	u := c.base
	u.Path += "/v1/" + strings.Trim(r.Path, "/")
	u.RawQuery = r.Query.Encode()
	return u.String()
}

// Answer is the server's answer to a request that it accepted.
type Answer struct {
	Status int
	Header http.Header
	Raw    []byte
	Secret *Secret // nil where there is no envelope: 204, DER, PEM
}

// Do sends a request, again after a "busy" or "unavailable" answer (429, 503:
// then nothing was done). A refusal is a *[ResponseError].
func (c *Client) Do(ctx context.Context, r *Request) (*Answer, error) {
	body := r.Raw
	if r.Body != nil {
		var err error
		if body, err = json.Marshal(r.Body); err != nil {
			return nil, fmt.Errorf("encoding the request: %w", err)
		}
	}
	for attempt := 0; ; attempt++ {
		answer, err := c.once(ctx, r, body)
		refusal, refused := errors.AsType[*ResponseError](err)
		if !refused || attempt >= c.cfg.MaxRetries || !refusal.retryable() {
			return answer, err
		}
		select {
		case <-time.After(refusal.pause(attempt)):
		case <-ctx.Done():
			return nil, err
		}
	}
}

// request makes the HTTP request.
func (c *Client) request(ctx context.Context, r *Request, body []byte) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, r.Method, c.URL(r), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for k, v := range r.Header {
		req.Header[k] = v
	}
	req.Header.Set("X-Vault-Request", "true")
	if c.cfg.Token != "" {
		req.Header.Set("X-Vault-Token", c.cfg.Token)
	}
	if c.cfg.WrapTTL != "" {
		req.Header.Set("X-Vault-Wrap-TTL", c.cfg.WrapTTL)
	}
	if c.cfg.Namespace != "" {
		req.Header.Set("X-Vault-Namespace", c.cfg.Namespace)
	}
	return req, nil
}

func (c *Client) once(ctx context.Context, r *Request, body []byte) (*Answer, error) {
	req, err := c.request(ctx, r, body)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.explain(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	if len(raw) > maxAnswer {
		return nil, fmt.Errorf("the answer is longer than %d bytes", maxAnswer)
	}
	return c.parse(r, resp, raw)
}

func (c *Client) parse(r *Request, resp *http.Response, raw []byte) (*Answer, error) {
	answer := &Answer{Status: resp.StatusCode, Header: resp.Header, Raw: raw}
	isJSON := strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json")
	if resp.StatusCode >= 300 {
		refusal := &ResponseError{Method: r.Method, URL: c.URL(r), Status: resp.StatusCode}
		if isJSON {
			refusal.read(raw)
		}
		if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil {
			refusal.RetryAfter = time.Duration(seconds) * time.Second
		}
		return nil, refusal
	}
	if isJSON && len(bytes.TrimSpace(raw)) > 0 {
		answer.Secret = new(Secret)
		if err := answer.Secret.read(raw); err != nil {
			return nil, fmt.Errorf("the answer of %s is not the JSON that was expected: %w", c.URL(r), err)
		}
	}
	return answer, nil
}

// explain adds what a person can do about a server that is not there.
func (c *Client) explain(err error) error {
	if path, ok := strings.CutPrefix(c.cfg.Address, "unix://"); ok {
		return fmt.Errorf("no pkid answers on %s: %w", path, unwrapURL(err))
	}
	return unwrapURL(err)
}

func unwrapURL(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}
