package server

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// quiet logs what a peer can cause at will: each kind of line at most once in a
// while, with how many were left out since.
type quiet struct {
	log *slog.Logger
	now func() time.Time

	mu    sync.Mutex
	kinds map[string]*quietKind
}

type quietKind struct {
	last    time.Time
	leftOut int
}

const quietFor = 5 * time.Second

// warn logs one line; message is its kind, and is a constant of the program.
func (q *quiet) warn(message string, attrs ...any) {
	q.mu.Lock()
	k := q.kinds[message]
	if k == nil {
		k = &quietKind{}
		q.kinds[message] = k
	}
	now := q.now()
	if now.Sub(k.last) < quietFor && !k.last.IsZero() {
		k.leftOut++
		q.mu.Unlock()
		return
	}
	leftOut := k.leftOut
	k.last, k.leftOut = now, 0
	q.mu.Unlock()
	if leftOut > 0 {
		attrs = append(attrs, "left_out", leftOut)
	}
	q.log.Log(context.Background(), slog.LevelWarn, message, attrs...)
}
