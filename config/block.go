package config

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// block reads one HCL body the way package flag reads a command line: first its
// user says which attributes and blocks there may be and where each goes, then
// read does it and reports whatever else is there.
type block struct {
	src    *source
	body   hcl.Body
	kind   string   // `client`, or "" for the file
	labels []string // `pkid`
	place  Place

	attrs  []attribute
	nested []nested
}

// attribute is one that may occur. take stores the value, which is neither null
// nor "", or says what is wrong with it in words that can follow the name.
type attribute struct {
	name string
	take func(cty.Value) error
}

// nested is a kind of block that may occur.
type nested struct {
	kind   string
	labels []string
	once   bool
	read   func(*block)
}

func (b *block) add(name string, take func(cty.Value) error) {
	b.attrs = append(b.attrs, attribute{name, take})
}

// blocks says that there may be any number of blocks of a kind, with labels as
// named.
func (b *block) blocks(kind string, labels []string, read func(*block)) {
	b.nested = append(b.nested, nested{kind: kind, labels: labels, read: read})
}

// single says that there may be one block of a kind.
func (b *block) single(kind string, read func(*block), labels ...string) {
	b.nested = append(b.nested, nested{kind: kind, labels: labels, once: true, read: read})
}

// title is the block as it begins in the file, without the brace.
func (b *block) title() string {
	title := b.kind
	for _, l := range b.labels {
		title += " " + strconv.Quote(l)
	}
	return title
}

// faultf reports a fault at an attribute, or with "" at the block.
func (b *block) faultf(attr, format string, args ...any) {
	b.src.faults = append(b.src.faults, b.place.diagnostic(attr, format, args...))
}

// need reports each of the attributes that is not set.
func (b *block) need(attrs ...string) {
	for _, a := range attrs {
		if !b.place.Has(a) {
			b.faultf("", "%s needs %s", b.title(), a)
		}
	}
}

// read takes the body apart and fills in what was asked for.
func (b *block) read() Place {
	schema := &hcl.BodySchema{}
	for _, a := range b.attrs {
		schema.Attributes = append(schema.Attributes, hcl.AttributeSchema{Name: a.name})
	}
	for _, n := range b.nested {
		schema.Blocks = append(schema.Blocks, hcl.BlockHeaderSchema{Type: n.kind, LabelNames: n.labels})
	}
	content, diags := b.body.Content(schema)
	for _, d := range diags {
		b.src.parserFault(d)
	}
	for _, a := range b.attrs {
		if found := content.Attributes[a.name]; found != nil {
			b.take(a, found)
		}
	}
	for _, n := range b.nested {
		b.readNested(n, content.Blocks)
	}
	return b.place
}

func (b *block) take(a attribute, found *hcl.Attribute) {
	line := found.NameRange.Start.Line
	b.place.attrs[a.name] = -line
	v, diags := found.Expr.Value(nil)
	if !literal(found.Expr) || diags.HasErrors() {
		b.src.fault(line, "%s must be a literal value; there are no variables or functions", a.name)
		return
	}
	if v.IsNull() || v.Type() == cty.String && v.AsString() == "" {
		delete(b.place.attrs, a.name)
		return
	}
	if err := a.take(v); err != nil {
		b.src.fault(line, "%s %v", a.name, err)
		return
	}
	b.place.attrs[a.name] = line
}

func (b *block) readNested(n nested, found hcl.Blocks) {
	first := 0
	for _, h := range found.OfType(n.kind) {
		child := &block{src: b.src, body: h.Body, kind: h.Type, labels: h.Labels,
			place: newPlace(b.src, h.DefRange.Start.Line)}
		if n.once && first > 0 {
			child.faultf("", "there may be one %s block; the first is at line %d", n.kind, first)
			continue
		}
		first = child.place.line
		if i := emptyLabel(h.Labels); i >= 0 {
			child.faultf("", "%s: the %s must not be empty", n.kind, n.labels[i])
			continue
		}
		n.read(child)
	}
}

func emptyLabel(labels []string) int {
	for i, l := range labels {
		if strings.TrimSpace(l) == "" {
			return i
		}
	}
	return -1
}

// literal reports whether the expression is made of constants only. In the JSON
// form it always is.
func literal(e hcl.Expression) bool {
	node, ok := e.(hclsyntax.Node)
	if !ok {
		return true
	}
	only := true
	hclsyntax.VisitAll(node, func(n hclsyntax.Node) hcl.Diagnostics {
		switch n.(type) {
		case *hclsyntax.LiteralValueExpr, *hclsyntax.TemplateExpr, *hclsyntax.TupleConsExpr,
			*hclsyntax.ObjectConsExpr, *hclsyntax.ObjectConsKeyExpr, *hclsyntax.UnaryOpExpr:
		default:
			only = false
		}
		return nil
	})
	return only
}

// quoted lists words for a message: "a", "b" or "c".
func quoted(words []string) string {
	parts := make([]string, len(words))
	for i, w := range words {
		parts[i] = strconv.Quote(w)
	}
	if len(parts) < 2 {
		return strings.Join(parts, "")
	}
	last := len(parts) - 1
	return fmt.Sprintf("%s or %s", strings.Join(parts[:last], ", "), parts[last])
}
