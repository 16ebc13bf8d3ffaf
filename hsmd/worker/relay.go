package worker

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"time"
)

// Lines that a library prints are passed on up to a rate: some print one for
// every call that fails.
const (
	relayLines  = 20
	relayWindow = 10 * time.Second
	relayLine   = 500 // octets of a line
)

// relay passes on to the log what a worker prints.
type relay struct {
	log  *slog.Logger
	done chan struct{} // closed when last is final
	last string
}

func (r *relay) run(output io.Reader) {
	defer close(r.done)
	lines := bufio.NewReader(output)
	var window time.Time
	count, dropped := 0, 0
	for {
		line, more, err := lines.ReadLine()
		if err != nil {
			return
		}
		r.last = string(line)
		for more && err == nil { // a line beyond the buffer must not block the worker
			_, more, err = lines.ReadLine()
		}
		if time.Since(window) > relayWindow {
			if dropped > 0 {
				r.log.Warn("the library printed more", "lines", dropped)
			}
			window, count, dropped = time.Now(), 0, 0
		}
		if count++; count > relayLines {
			dropped++
			continue
		}
		r.log.Info("the library printed", "line", fmt.Sprintf("%.*q", relayLine, r.last))
	}
}

// end gives the last line that a worker printed before it was killed, in
// parentheses; "" if there is none, or if something it started goes on printing.
func (r *relay) end() string {
	select {
	case <-r.done:
	case <-time.After(time.Second):
		return ""
	}
	if r.last == "" {
		return ""
	}
	return fmt.Sprintf(" (%.*q)", relayLine, r.last)
}
