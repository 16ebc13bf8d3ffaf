package ocsp

import (
	"container/list"
	"sync"
	"time"
)

// cache keeps answers until they change, or have lived half of their life. It
// drops those not asked for the longest where it would grow past its limit.
type cache struct {
	limit int // octets

	mu      sync.Mutex
	size    int
	entries map[string]*list.Element
	order   list.List // of *entry, the last asked for first
}

// entry is one answer with what it was made of. It is immutable.
type entry struct {
	key      string
	changes  int64 // the issuer's count for which it was found right
	statuses []Status
	response *Response
}

// at is the entry, found right for another count.
func (e *entry) at(changes int64) *entry {
	next := *e
	next.changes = changes
	return &next
}

// What an entry takes besides its key and answer, about: for each certificate,
// and for itself.
const (
	statusSize = 64
	overhead   = 400
)

func (e *entry) size() int {
	return len(e.key) + len(e.response.DER) + len(e.statuses)*statusSize + overhead
}

// cacheKey is what an answer without a nonce depends on beside the issuer's
// changes: the CertIDs as they are, which name the issuer by hashes, the hash,
// and the serial number, and which the answer repeats.
func (r *request) cacheKey() string {
	if len(r.certs) == 1 {
		return string(r.certs[0].raw)
	}
	var key []byte
	for i := range r.certs {
		key = append(key, r.certs[i].raw...)
	}
	return string(key)
}

// get gives the answer under key, which may be of another count of changes.
func (c *cache) get(key string, now time.Time) *entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	element := c.entries[key]
	if element == nil {
		return nil
	}
	e := element.Value.(*entry)
	if !now.Before(e.response.halfLife()) {
		c.drop(element)
		return nil
	}
	c.order.MoveToFront(element)
	return e
}

// put keeps an answer, in place of the one that was there.
func (c *cache) put(e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.entries == nil {
		c.entries = map[string]*list.Element{}
	}
	if old := c.entries[e.key]; old != nil {
		c.drop(old)
	}
	c.entries[e.key] = c.order.PushFront(e)
	c.size += e.size()
	for c.size > c.limit {
		c.drop(c.order.Back())
	}
}

func (c *cache) drop(element *list.Element) {
	e := c.order.Remove(element).(*entry)
	delete(c.entries, e.key)
	c.size -= e.size()
}

// halfLife is when an answer is to be made anew.
func (r *Response) halfLife() time.Time {
	return r.ThisUpdate.Add(r.NextUpdate.Sub(r.ThisUpdate) / 2)
}
