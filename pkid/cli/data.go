package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

// parseData turns arguments into parameters as Vault's CLI does:
//
//	key=value   a string
//	key=@file   the file's content
//	key=-       standard input
//	@file       a JSON object in a file
//	-           a JSON object on standard input
//	key=\@x     the string "@x"
//
// A key given more than once becomes a list.
func parseData(args []string, stdin io.Reader) (map[string]any, error) {
	data := map[string]any{}
	stdinUsed := false
	readStdin := func() ([]byte, error) {
		if stdinUsed {
			return nil, fmt.Errorf("standard input can be read only once")
		}
		stdinUsed = true
		return io.ReadAll(stdin)
	}
	for _, arg := range args {
		if arg == "-" || strings.HasPrefix(arg, "@") {
			if err := addObject(data, arg, readStdin); err != nil {
				return nil, err
			}
			continue
		}
		key, value, found := strings.Cut(arg, "=")
		if !found || key == "" {
			return nil, fmt.Errorf("failed to parse K=V data: invalid key/value pair %q: format must be key=value", redactPair(arg))
		}
		switch {
		case value == "-":
			b, err := readStdin()
			if err != nil {
				return nil, fmt.Errorf("reading %s from standard input: %w", key, err)
			}
			value = string(b)
		case strings.HasPrefix(value, "@"):
			b, err := os.ReadFile(value[1:])
			if err != nil {
				return nil, fmt.Errorf("reading %s: %w", key, err)
			}
			value = string(b)
		case strings.HasPrefix(value, `\@`) || strings.HasPrefix(value, `\-`):
			value = value[1:]
		}
		if isSecretOneLiner(key) {
			value = strings.TrimRight(value, "\r\n")
		}
		add(data, key, value)
	}
	return data, nil
}

// isSecretOneLiner tells parameters that are typed or piped with a newline
// which is no part of them.
func isSecretOneLiner(key string) bool {
	switch key {
	case "pin", "secret_key", "access_key", "secret_id", "jwt", "token":
		return true
	}
	return false
}

// redactPair keeps what may be a secret out of the message.
func redactPair(arg string) string {
	if len(arg) > 24 {
		return arg[:24] + "…"
	}
	return arg
}

func addObject(data map[string]any, arg string, readStdin func() ([]byte, error)) error {
	var b []byte
	var err error
	if arg == "-" {
		b, err = readStdin()
	} else {
		b, err = os.ReadFile(arg[1:])
	}
	if err != nil {
		return fmt.Errorf("reading parameters: %w", err)
	}
	var object map[string]any
	if err := json.Unmarshal(b, &object); err != nil {
		return fmt.Errorf("failed to parse K=V data: %s holds no JSON object: %w", arg, err)
	}
	for k, v := range object {
		data[k] = v
	}
	return nil
}

func add(data map[string]any, key, value string) {
	switch old := data[key].(type) {
	case nil:
		data[key] = value
	case []any:
		data[key] = append(old, value)
	default:
		data[key] = []any{old, value}
	}
}
