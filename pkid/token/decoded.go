package token

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sync"
)

// maxDecoded bounds how many tokens are held decoded, and maxHeld the size of
// each, in octets: few are larger.
const (
	maxDecoded = 4096
	maxHeld    = 4 << 10
)

// decoded holds tokens as they were last decoded, each with what it was decoded
// from: decoding costs more than reading. The state is still read each time, so
// nothing that it holds can be out of date.
type decoded struct {
	mu     sync.RWMutex
	tokens map[string]decodedToken // by hash
}

type decodedToken struct {
	raw   []byte
	token *Token // never changed
}

func (d *decoded) decode(hash, raw []byte) (*Token, error) {
	d.mu.RLock()
	held, is := d.tokens[string(hash)]
	d.mu.RUnlock()
	if !is || !bytes.Equal(held.raw, raw) {
		held = decodedToken{raw, &Token{hash: bytes.Clone(hash)}}
		if err := json.Unmarshal(raw, held.token); err != nil {
			return nil, fmt.Errorf("a token in the store: %w", err)
		}
		if len(raw) > maxHeld {
			return held.token, nil
		}
		d.mu.Lock()
		if len(d.tokens) >= maxDecoded || d.tokens == nil {
			d.tokens = map[string]decodedToken{}
		}
		d.tokens[string(hash)] = held
		d.mu.Unlock()
	}
	mine := *held.token // which its reader may change
	return &mine, nil
}
