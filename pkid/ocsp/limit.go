package ocsp

import (
	"container/list"
	"net/netip"
	"sync"
	"time"
)

// What a source may ask that has to be signed for it alone: so many answers at
// once, and so many a second from then on.
const (
	burst     = 100
	perSecond = 10
)

// maxSources bounds the table of sources. Those that find it full of others who
// have asked just now share one allowance.
const maxSources = 8192

// limiter is a token bucket for each source.
type limiter struct {
	mu      sync.Mutex
	sources map[string]*list.Element
	order   list.List // of *bucket, the last that asked first
	shared  bucket
}

type bucket struct {
	source string
	tokens float64
	at     time.Time
}

// allow takes one token of a source, if there is one.
func (l *limiter) allow(source string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bucket(source, now).take(now)
}

func (l *limiter) bucket(source string, now time.Time) *bucket {
	if element := l.sources[source]; element != nil {
		l.order.MoveToFront(element)
		return element.Value.(*bucket)
	}
	if l.sources == nil {
		l.sources = map[string]*list.Element{}
		l.shared = bucket{tokens: burst, at: now}
	}
	if len(l.sources) >= maxSources {
		oldest := l.order.Back()
		if b := oldest.Value.(*bucket); !b.full(now) {
			return &l.shared
		}
		delete(l.sources, l.order.Remove(oldest).(*bucket).source)
	}
	b := &bucket{source: source, tokens: burst, at: now}
	l.sources[source] = l.order.PushFront(b)
	return b
}

func (b *bucket) fill(now time.Time) float64 {
	return min(burst, b.tokens+perSecond*max(0, now.Sub(b.at).Seconds()))
}

func (b *bucket) full(now time.Time) bool { return b.fill(now) == burst }

func (b *bucket) take(now time.Time) bool {
	b.tokens, b.at = b.fill(now), now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// sourceOf is whom a remote address counts for: an IPv4 address, the /64 of an
// IPv6 address, and what is neither as it is.
func sourceOf(remote string) string {
	addr, err := netip.ParseAddr(remote) // a proxy says no port
	if err != nil {
		at, err := netip.ParseAddrPort(remote)
		if err != nil {
			return remote
		}
		addr = at.Addr()
	}
	addr = addr.Unmap().WithZone("")
	if addr.Is4() {
		return addr.String()
	}
	prefix, err := addr.Prefix(64)
	if err != nil {
		return remote
	}
	return prefix.String()
}
