package auditlog

import (
	"sync"
	"time"
)

// Refusals are many and cheap for whoever makes them: in a while the first of a
// kind has a line at once, the rest one together at its end. Beyond a number of
// kinds all others are one.
const (
	refusedFor      = time.Minute
	maxRefusalKinds = 16
)

// refusals counts what was refused since the last line about it.
type refusals struct {
	refusedMu sync.Mutex
	kinds     map[refusalKind]*Entry // Count is what has no line yet
	timer     *time.Timer
}

// refusalKind is what is counted together.
type refusalKind struct {
	uid  uint32
	key  string
	code string
	rest bool // all beyond the number of kinds
}

// Refuse notes a request that was refused, with its peer, key and reason. code
// says what kind of refusal it was. Nobody waits for it, and on a full disk it has
// no line.
func (l *Log) Refuse(e Entry, code string) {
	e.Kind, e.Count = Refused, 1
	kind := refusalKind{uid: e.Peer.UID, key: e.Key, code: code}
	l.refusedMu.Lock()
	defer l.refusedMu.Unlock()
	if l.kinds == nil {
		l.kinds = map[refusalKind]*Entry{}
	}
	if l.timer == nil {
		l.timer = time.AfterFunc(refusedFor, l.flushRefusals)
	}
	seen := l.kinds[kind]
	if seen == nil && len(l.kinds) >= maxRefusalKinds {
		kind = refusalKind{rest: true}
		seen = l.kinds[kind]
	}
	if seen != nil {
		e.Count += seen.Count
		*seen = e
		return
	}
	l.kinds[kind] = &Entry{}
	l.note(&e)
}

// flushRefusals writes what was counted, and begins anew.
func (l *Log) flushRefusals() {
	l.refusedMu.Lock()
	defer l.refusedMu.Unlock()
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
	for _, e := range l.kinds {
		if e.Count > 0 {
			l.note(e)
		}
	}
	l.kinds = nil
}

func (l *Log) note(e *Entry) {
	_, _ = l.append(e, &Pending{done: make(chan struct{})})
}
