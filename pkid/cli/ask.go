package cli

import (
	"net/http"
	"net/url"

	"github.com/hsmpki/hsmpki/pkid/client"
)

// post writes, and gives what came back; where nothing did it is empty.
func (s *session) post(path string, body map[string]any) (*client.Secret, error) {
	return s.ask(&client.Request{Method: http.MethodPut, Path: path, Body: body})
}

// get reads, and gives what came back; where nothing did it is empty.
func (s *session) get(path string, query url.Values) (*client.Secret, error) {
	return s.ask(&client.Request{Method: http.MethodGet, Path: path, Query: query})
}

func (s *session) ask(req *client.Request) (*client.Secret, error) {
	answer, err := s.Do(s.ctx.Context, req)
	if err != nil {
		return nil, err
	}
	if answer.Secret == nil {
		return &client.Secret{}, nil
	}
	return answer.Secret, nil
}
