// Package vaultapi is Vault's HTTP API as a format: parameters in, envelope and
// errors out. It knows no path and decides nothing. Start at [Params] for what
// clients send, and at [Response] for what they get.
package vaultapi

import (
	"fmt"
	"slices"
)

// Params are the parameters of one request: a JSON object, a form or a query,
// read weakly, since clients send booleans and numbers as strings and lists
// with commas. A null and an empty string count as not given.
//
// The getters note what was asked for, so that [Params.Unused] can name what
// nobody knew, and keep the first value that did not convert for [Params.Err].
// Names are those of the API; Params is not safe for concurrent use.
type Params struct {
	values map[string]any
	asked  map[string]bool
	err    error
}

// NewParams wraps values as encoding/json decodes them (with numbers as
// json.Number or float64). It keeps the map.
func NewParams(values map[string]any) *Params {
	if values == nil {
		values = map[string]any{}
	}
	return &Params{values: values, asked: map[string]bool{}}
}

// Set overrides a parameter, for those that come from the path.
func (p *Params) Set(name string, value any) { p.values[name] = value }

// Present reports whether the parameter was sent at all, be it null or empty:
// an empty list clears what an absent one leaves alone.
func (p *Params) Present(name string) bool {
	p.asked[name] = true
	_, ok := p.values[name]
	return ok
}

// Has reports whether the parameter was given a value.
func (p *Params) Has(name string) bool {
	p.asked[name] = true
	v, ok := p.values[name]
	return ok && v != nil && v != ""
}

// Values are what was sent, to be read only.
func (p *Params) Values() map[string]any { return p.values }

// Names lists what was sent, in order.
func (p *Params) Names() []string {
	names := make([]string, 0, len(p.values))
	for name := range p.values {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Unused lists what was sent and never asked for, in order.
func (p *Params) Unused() []string {
	return slices.DeleteFunc(p.Names(), func(name string) bool { return p.asked[name] })
}

// UnusedWarning is Vault's warning about parameters that nobody knew, or "".
func (p *Params) UnusedWarning() string {
	if unused := p.Unused(); len(unused) > 0 {
		return fmt.Sprintf("Endpoint ignored these unrecognized parameters: %v", unused)
	}
	return ""
}

// Err is the first conversion that failed, as a 400 [Error] in Vault's words.
func (p *Params) Err() error { return p.err }

// value is the parameter, or nil where it counts as not given.
func (p *Params) value(name string) any {
	if !p.Has(name) {
		return nil
	}
	return p.values[name]
}

// fail keeps the first error.
func (p *Params) fail(name string, err error) {
	if p.err == nil {
		p.err = BadRequest("Field validation failed: error converting input for field %q: %v", name, err)
	}
}

// Fail notes that a parameter has a value that makes no sense, as if it had not
// converted.
func (p *Params) Fail(name, format string, args ...any) { p.fail(name, fmt.Errorf(format, args...)) }
