package auditlog

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// What a line has at most of one request or answer; more is an HMAC instead.
const (
	longestValue = 16 << 10 // octets of a string
	longestList  = 256      // elements
	longestName  = 256      // octets of a field's name
	longestData  = 128 << 10
)

// Hash gives what stands for a secret, in Vault's form: the same for the same
// secret, and nothing that it can be had from.
func (l *Log) Hash(secret string) string {
	h := hmac.New(sha256.New, l.Key)
	h.Write([]byte(secret))
	return "hmac-sha256:" + hex.EncodeToString(h.Sum(nil))
}

// Conceal gives data as it may stand in a line. What is under a name that is not
// readable becomes an HMAC, numbers too, since a PIN may be sent as one; so
// does a private key wherever it stands. Booleans and null stay.
func (l *Log) Conceal(data map[string]any, readable func(name string) bool) map[string]any {
	if len(data) == 0 {
		return nil
	}
	out := make(map[string]any, min(len(data), longestList))
	total := 0
	for name, value := range data {
		shown := l.conceal(value, readable(name))
		if len(name) > longestName {
			name = l.Hash(name)
		}
		out[name] = shown
		if total += len(name) + size(shown); total > longestData {
			return map[string]any{"elided": l.hashJSON(data)}
		}
	}
	return out
}

// Shorten gives what Conceal gave, or an HMAC of it where that has more octets.
func (l *Log) Shorten(concealed map[string]any, most int) map[string]any {
	if size(concealed) <= most {
		return concealed
	}
	return map[string]any{"elided": l.hashJSON(concealed)}
}

func (l *Log) conceal(value any, readable bool) any {
	switch v := value.(type) {
	case nil, bool:
		return v
	case string:
		if !readable || len(v) > longestValue || strings.Contains(v, "PRIVATE KEY") {
			return l.Hash(v)
		}
		return v
	case []string:
		return concealList(l, v, readable)
	case []any:
		return concealList(l, v, readable)
	case map[string]any: // below a name that may be read, all may; else each is hashed
		return l.Conceal(v, func(string) bool { return readable })
	case map[string]string:
		out := make(map[string]any, len(v))
		for name, text := range v {
			out[name] = text
		}
		return l.conceal(out, readable)
	}
	// Numbers, and what only answers have.
	text, err := json.Marshal(value)
	switch {
	case err != nil:
		return l.Hash(fmt.Sprint(value))
	case !readable || len(text) > longestValue || strings.Contains(string(text), "PRIVATE KEY"):
		return l.Hash(string(text))
	}
	return json.RawMessage(text)
}

// concealList shows the elements, or of a long list how many they are.
func concealList[T any](l *Log, list []T, readable bool) any {
	if len(list) > longestList {
		return map[string]any{"elements": len(list), "hmac": l.hashJSON(list)}
	}
	out := make([]any, len(list))
	for i, v := range list {
		out[i] = l.conceal(v, readable)
	}
	return out
}

func (l *Log) hashJSON(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		text = []byte(fmt.Sprint(value))
	}
	return l.Hash(string(text))
}

// size is about how many octets a concealed value has.
func size(value any) int {
	switch v := value.(type) {
	case string:
		return len(v)
	case json.RawMessage:
		return len(v)
	case []any:
		total := 0
		for _, e := range v {
			total += size(e)
		}
		return total
	case map[string]any:
		total := 0
		for name, e := range v {
			total += len(name) + size(e)
		}
		return total
	}
	return 8
}

// Redact gives a text, such as an error, with the HMACs in the place of the
// secrets that it repeats: the strings of data that may not be read.
func (l *Log) Redact(text string, data map[string]any, readable func(name string) bool) string {
	for name, value := range data {
		if secret, is := value.(string); is && len(secret) >= 4 && len(secret) <= longestValue && !readable(name) {
			quoted := strconv.Quote(secret)
			text = strings.ReplaceAll(text, secret, l.Hash(secret))
			text = strings.ReplaceAll(text, quoted[1:len(quoted)-1], l.Hash(secret))
		}
	}
	return text
}
