package vaultapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// maxDepth bounds the nesting of a request's JSON.
const maxDepth = 32

// ParseJSON reads a request's body: one JSON object, or nothing, or null. A key
// that stands in one object twice is refused, since two readers could take
// different ones.
func ParseJSON(body []byte) (*Params, error) {
	object, err := decodeObject(body)
	if err != nil {
		return nil, BadRequest("failed to parse JSON input: %v", err)
	}
	return NewParams(object), nil
}

func decodeObject(body []byte) (map[string]any, error) {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, nil
	}
	value, err := decodeText(body)
	if err != nil {
		return nil, err
	}
	switch v := value.(type) {
	case nil:
		return nil, nil
	case map[string]any:
		return v, nil
	}
	return nil, errors.New("expected an object")
}

// decodeText reads one JSON value and nothing after it.
func decodeText(text []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	value, err := decodeValue(d, 0)
	if err != nil {
		return nil, at(d, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, at(d, errors.New("something follows the object"))
	}
	return value, nil
}

func at(d *json.Decoder, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("unexpected end of JSON input")
	}
	return fmt.Errorf("%w (at byte %d)", err, d.InputOffset())
}

func decodeValue(d *json.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("nested deeper than %d", maxDepth)
	}
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('{'):
		object := map[string]any{}
		for d.More() {
			key, err := d.Token()
			if err != nil {
				return nil, err
			}
			name := key.(string) // the decoder sees to it
			if _, twice := object[name]; twice {
				return nil, fmt.Errorf("key %q stands there twice", name)
			}
			if object[name], err = decodeValue(d, depth+1); err != nil {
				return nil, err
			}
		}
		_, err := d.Token()
		return object, err
	case json.Delim('['):
		list := []any{}
		for d.More() {
			value, err := decodeValue(d, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, value)
		}
		_, err := d.Token()
		return list, err
	}
	return token, nil
}
