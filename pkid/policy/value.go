package policy

import (
	"strings"

	"github.com/hashicorp/hcl/hcl/ast"
	"github.com/hashicorp/hcl/hcl/token"
)

// keyOf is the first word of an item.
func keyOf(item *ast.ObjectItem) string {
	if len(item.Keys) == 0 {
		return ""
	}
	return item.Keys[0].Token.Value().(string)
}

// scalarOf is a string, a bool or a float64.
func scalarOf(node ast.Node) (value, error) {
	literal, is := node.(*ast.LiteralType)
	if !is {
		return nil, at(node, "expected a string, a number or a boolean")
	}
	if literal.Token.Type == token.STRING && literal.Token.Text == "" {
		return nil, at(node, "null is no value") // as the JSON parser writes it
	}
	switch v := literal.Token.Value().(type) {
	case int64:
		return float64(v), nil
	case string, bool, float64:
		return v, nil
	}
	return nil, at(node, "expected a string, a number or a boolean")
}

func stringOf(node ast.Node) (string, error) {
	v, err := scalarOf(node)
	if err != nil {
		return "", err
	}
	text, is := v.(string)
	if !is {
		return "", at(node, "expected a string, got %v", v)
	}
	return text, nil
}

func stringsOf(node ast.Node) ([]string, error) { return listOf(node, stringOf) }

func listOf[T any](node ast.Node, read func(ast.Node) (T, error)) ([]T, error) {
	list, is := node.(*ast.ListType)
	if !is {
		return nil, at(node, "expected a list")
	}
	var all []T
	for _, element := range list.List {
		v, err := read(element)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

// parametersOf reads lists of values by name.
func parametersOf(node ast.Node) (parameters, error) {
	object, is := node.(*ast.ObjectType)
	if !is {
		return nil, at(node, "expected lists of values by name, such as { ttl = [\"1h\"] }")
	}
	all := parameters{}
	for _, item := range object.List.Items {
		name := strings.ToLower(keyOf(item))
		if _, twice := all[name]; twice || len(item.Keys) != 1 {
			return nil, at(item, "parameter %q is there twice, or has a label", name)
		}
		values, err := listOf(item.Val, scalarOf)
		if err != nil {
			return nil, err
		}
		all[name] = values
	}
	return all, nil
}
