package vaultapi

import "net/url"

// ParseForm reads a body of application/x-www-form-urlencoded. A name that
// stands there more than once is a list.
func ParseForm(body string) (*Params, error) {
	values, err := url.ParseQuery(body)
	if err != nil {
		return nil, BadRequest("failed to parse form input: %v", err)
	}
	return FromValues(values), nil
}

// FromValues takes the parameters of a query or a form.
func FromValues(values url.Values) *Params {
	object := make(map[string]any, len(values))
	for name, texts := range values {
		if len(texts) == 1 {
			object[name] = texts[0]
			continue
		}
		object[name] = texts
	}
	return NewParams(object)
}
