package client

import (
	"context"
	"io"
	"net/http"
)

// Stream sends a request and gives the body of its answer, of whatever length,
// to be read and closed. A refusal is a *[ResponseError].
func (c *Client) Stream(ctx context.Context, r *Request) (io.ReadCloser, error) {
	req, err := c.request(ctx, r, nil)
	if err != nil {
		return nil, err
	}
	long := *c.http
	long.Timeout = 0 // that is ctx's to say
	resp, err := long.Do(req)
	if err != nil {
		return nil, c.explain(err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	if _, err := c.parse(r, resp, raw); err != nil {
		return nil, err
	}
	return nil, &ResponseError{Method: r.Method, URL: c.URL(r), Status: resp.StatusCode}
}
