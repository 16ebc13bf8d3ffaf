package wire

import (
	"context"
	"slices"
	"sync"
	"time"
	"unicode/utf8"
)

// Bounds of what a request's [Steps] note; what is beyond is left out.
const (
	MaxSteps    = 64
	maxStepName = 32 // octets

	// stepGrain is what times are rounded to, inwards: how long a token takes over
	// a signature may tell of the private key, and whoever has taken the client
	// over is told no more exactly than he can see for himself, through the log's
	// sync (Minerva, CVE-2019-15809).
	stepGrain = 100 // microseconds
)

// Step is one thing that was done for a request, or all of it.
type Step struct {
	Name  string `cbor:"1,keyasint"`
	In    uint   `cbor:"2,keyasint,omitempty"` // number, from 1, of the step that it is a part of, which stands before it; 0: of none
	Start int64  `cbor:"3,keyasint"`           // microseconds since 1970, in hundreds
	Took  int64  `cbor:"4,keyasint,omitempty"` // microseconds, in hundreds
}

// Steps note what is done for a request and how long it takes, for traces.
// Whoever asks a [Client] with a context of [WithSteps] has what the peer did
// noted there, too; [Serve] makes them for requests whose client asks for it.
// The clock is that of the machine, which both ends of a connection share.
//
// Nil Steps note nothing and cost nothing. Steps are safe for concurrent use.
type Steps struct {
	mu    sync.Mutex
	list  []Step
	began []time.Time
	open  uint // number of the step that Next began; 0: none
}

type stepsKey struct{}

// WithSteps gives a context for one request, and the Steps of it. name is that
// of the whole, the first step.
func WithSteps(ctx context.Context, name string) (context.Context, *Steps) {
	s := &Steps{}
	s.begin(name, 0)
	return context.WithValue(ctx, stepsKey{}, s), s
}

// StepsOf gives the Steps of the request that ctx is of, nil if nobody wants to
// know.
func StepsOf(ctx context.Context) *Steps {
	s, _ := ctx.Value(stepsKey{}).(*Steps)
	return s
}

// Next ends the step that Next began before, and begins another.
func (s *Steps) Next(name string) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end(s.open)
	s.open = s.begin(name, 1)
}

// End ends the request, and gives its steps.
func (s *Steps) End() []Step {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end(s.open)
	s.open = 0
	s.end(1)
	return slices.Clone(s.list)
}

// begin gives the number of a new step; 0 if there is no room for it.
func (s *Steps) begin(name string, in uint) uint {
	if len(s.list) == MaxSteps {
		return 0
	}
	now := time.Now()
	start := (now.UnixMicro() + stepGrain - 1) / stepGrain * stepGrain
	s.list, s.began = append(s.list, Step{Name: name, In: in, Start: start}), append(s.began, now)
	return uint(len(s.list))
}

func (s *Steps) end(number uint) {
	if number == 0 {
		return
	}
	step, began := &s.list[number-1], s.began[number-1]
	end := began.UnixMicro() + time.Since(began).Microseconds()
	step.Took = max(end/stepGrain*stepGrain-step.Start, 0)
}

// add has what a peer did as a part of the step that it was asked in. The peer's
// word is not trusted to make sense.
func (s *Steps) add(peer []Step) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	first := uint(len(s.list))
	for i, step := range peer[:min(len(peer), MaxSteps-len(s.list))] {
		if step.Name = clean(step.Name); len(step.Name) > maxStepName {
			step.Name = step.Name[:maxStepName]
			for !utf8.ValidString(step.Name) {
				step.Name = step.Name[:len(step.Name)-1]
			}
		}
		step.Took = min(max(step.Took, 0), longTimeout.Microseconds())
		switch {
		case step.In > 0 && step.In <= uint(i):
			step.In += first
		default:
			step.In = max(s.open, 1)
		}
		s.list, s.began = append(s.list, step), append(s.began, time.Time{})
	}
}
