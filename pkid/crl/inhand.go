package crl

import (
	"runtime"
	"sync"
	"weak"

	"github.com/hsmpki/hsmpki/pkid/store"
)

// inHand has the parts of lists that are being read, each once however many read
// it: readers are strangers, and may read slowly. A part goes when nobody reads
// it any more. What lies under a key never changes, as no number is taken twice.
type inHand struct {
	mu    sync.Mutex
	parts map[string]weak.Pointer[part]
}

// part is a part of a list, not to be changed.
type part struct{ octets []byte }

// get gives the part that lies under a key.
func (h *inHand) get(r store.Reader, key []byte) (*part, error) {
	if p := h.held(key); p != nil {
		return p, nil
	}
	octets, err := r.Get(key)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if p := h.parts[string(key)].Value(); p != nil {
		return p, nil // somebody else was faster
	}
	p := &part{octets}
	if h.parts == nil {
		h.parts = map[string]weak.Pointer[part]{}
	}
	h.parts[string(key)] = weak.Make(p)
	runtime.AddCleanup(p, h.forget, string(key))
	return p, nil
}

func (h *inHand) held(key []byte) *part {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.parts[string(key)].Value()
}

// forget drops a part that is gone, unless it was read again meanwhile.
func (h *inHand) forget(key string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.parts[key].Value() == nil {
		delete(h.parts, key)
	}
}
