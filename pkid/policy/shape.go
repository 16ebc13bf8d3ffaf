package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/hcl/scanner"
	"github.com/hashicorp/hcl/hcl/token"
)

// maxDepth bounds how deep brackets are nested; a policy needs four. Of deep
// nesting the parser makes work that grows with its square.
const maxDepth = 16

// checkShape refuses what the parser is not to see: deep nesting, and JSON that
// is not whole, of which it does not miss the last braces.
func checkShape(text string) error {
	if strings.HasPrefix(strings.TrimSpace(text), "{") {
		return checkJSON(text)
	}
	s := scanner.New([]byte(text))
	s.Error = func(token.Pos, string) {} // told by the parser
	depth := 0
	for {
		switch t := s.Scan(); t.Type {
		case token.EOF:
			return nil
		case token.LBRACE, token.LBRACK:
			if depth++; depth > maxDepth {
				return tooDeep(t.Pos.Line)
			}
		case token.RBRACE, token.RBRACK:
			depth--
		}
	}
}

func checkJSON(text string) error {
	lineAt := func(offset int64) int { return 1 + strings.Count(text[:offset], "\n") }
	err := json.Unmarshal([]byte(text), new(any))
	if e, is := errors.AsType[*json.SyntaxError](err); is {
		return fmt.Errorf("line %d: %w", lineAt(e.Offset), err)
	}
	if err != nil {
		return err
	}
	d := json.NewDecoder(strings.NewReader(text))
	for depth := 0; ; {
		t, err := d.Token()
		if err != nil {
			return nil // its end: that it is whole is known
		}
		switch t {
		case json.Delim('{'), json.Delim('['):
			if depth++; depth > maxDepth {
				return tooDeep(lineAt(d.InputOffset()))
			}
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
	}
}

func tooDeep(line int) error {
	return fmt.Errorf("line %d: brackets are nested deeper than %d", line, maxDepth)
}
