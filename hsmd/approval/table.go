// Package approval holds requests for signatures until enough people have
// approved exactly those bytes. An approval is an SSH signature (sshsig) of a
// text that names the key, the bytes' hash and an end; it is checked each time it
// counts, against the people that hsmd's configuration names then. What a request
// is about is said in words by whoever asks ([Request.Words]); the package knows
// no certificates, keys or peers.
//
// Start at [Table.Ask].
package approval

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Bounds of what may wait, in all and for one user: whoever asks is a program
// that may have been taken over.
const (
	maxWaiting   = 1000
	maxOfOneUser = 100

	// MaxID is how many octets an ID has.
	MaxID = 32

	// MaxMessage is how many octets a message may have that is to wait.
	MaxMessage = 256 << 10
)

var (
	// ErrUnknown is that nothing of this id waits.
	ErrUnknown = errors.New("nothing waits under this id")
	// ErrOther is that a message is not the one of the approval that was named.
	ErrOther = errors.New("the approval is of another message")
	// ErrFull is that too much waits.
	ErrFull = errors.New("too many requests wait for approval")
)

// Request is one message that waits, or that may be signed by now.
type Request struct {
	ID      string    `json:"id"`
	UID     uint32    `json:"uid"` // of the peer who asked
	Key     string    `json:"key"` // its name, for people
	SPKI    []byte    `json:"spki_sha256"`
	Scheme  string    `json:"scheme"`
	Kind    string    `json:"kind"`
	Message []byte    `json:"message"`
	Words   []string  `json:"words"` // what would be signed, a line each
	Asked   time.Time `json:"asked"`
	Until   time.Time `json:"until"`
	Context string    `json:"context,omitempty"`

	Signatures []string `json:"signatures,omitempty"`
}

// Statement is the text that is to be signed for it.
func (r *Request) Statement() string {
	s := Statement{SPKI: [32]byte(r.SPKI), Scheme: r.Scheme, Kind: r.Kind, Message: sha256.Sum256(r.Message), Until: r.Until}
	return s.Text()
}

// id is the same for the same bytes of the same user: who asks again finds what
// waits.
func (r *Request) id() string {
	h := sha256.New()
	fmt.Fprintf(h, "%d %x %s %s %x", r.UID, r.SPKI, r.Scheme, r.Kind, sha256.Sum256(r.Message))
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Status is how far a request is.
type Status struct {
	Request
	Given  []string // who approved, in order
	Quorum int
	New    bool // it waits since just now
}

// Approved reports whether enough people did.
func (s *Status) Approved() bool { return len(s.Given) >= s.Quorum }

// Table has what waits, as it is on disk. It is safe for concurrent use.
type Table struct {
	now func() time.Time

	mu      sync.Mutex
	files   *files
	waiting map[string]*Request
}

// Open reads what waits from a directory of its own, which it makes.
func Open(dir string, now func() time.Time) (*Table, error) {
	f, err := openFiles(dir)
	if err != nil {
		return nil, err
	}
	t := &Table{now: now, files: f, waiting: map[string]*Request{}}
	all, err := f.read()
	if err != nil {
		return nil, err
	}
	for _, r := range all {
		t.waiting[r.ID] = r
	}
	return t, t.sweep()
}

// sweep forgets what has ended.
func (t *Table) sweep() error {
	for id, r := range t.waiting {
		if t.now().After(r.Until) {
			if err := t.files.remove(id); err != nil {
				return err
			}
			delete(t.waiting, id)
		}
	}
	return nil
}

// Ask says how far a request is that a key's rule holds back. One that is not
// there waits from now on, durably. Of r, Asked, Until and Signatures are given
// here, and ID; one that is set and turns out to be another is ErrOther.
func (t *Table) Ask(rule *Rule, r Request) (*Status, error) {
	if len(r.Message) > MaxMessage {
		return nil, fmt.Errorf("a message of %d octets is too long to wait for approval; %d are possible", len(r.Message), MaxMessage)
	}
	id := r.id()
	if r.ID != "" && r.ID != id {
		return nil, ErrOther
	}
	r.ID, r.Signatures = id, nil
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.sweep(); err != nil {
		return nil, err
	}
	if there := t.waiting[r.ID]; there != nil {
		return status(rule, there), nil
	}
	ofUser := 0
	for _, other := range t.waiting {
		if other.UID == r.UID {
			ofUser++
		}
	}
	if len(t.waiting) >= maxWaiting || ofUser >= maxOfOneUser {
		return nil, ErrFull
	}
	r.Asked = t.now().UTC().Truncate(time.Second)
	r.Until = r.Asked.Add(rule.Wait)
	if err := t.files.write(&r); err != nil {
		return nil, err
	}
	t.waiting[r.ID] = &r
	s := status(rule, &r)
	s.New = true
	return s, nil
}

func status(rule *Rule, r *Request) *Status {
	return &Status{Request: *r, Given: rule.given(r.Statement(), r.Signatures), Quorum: rule.Quorum}
}

// List gives what waits, the oldest first. rule gives the rule that a
// request's key has now, nil for none.
func (t *Table) List(rule func(r *Request) *Rule) ([]*Status, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.sweep(); err != nil {
		return nil, err
	}
	var all []*Status
	for _, r := range t.waiting {
		if rule := rule(r); rule != nil {
			all = append(all, status(rule, r))
		}
	}
	slices.SortFunc(all, func(a, b *Status) int {
		if c := a.Asked.Compare(b.Asked); c != 0 {
			return c
		}
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	return all, nil
}

// Approve adds an approver's signature to what waits. It gives the approver's
// name, and the status with his approval counted. record is called with them
// before anything counts, and its error ends it.
func (t *Table) Approve(id, signature string, rule func(r *Request) *Rule, record func(name string, s *Status) error) (string, *Status, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.sweep(); err != nil {
		return "", nil, err
	}
	r := t.waiting[id]
	if r == nil {
		return "", nil, ErrUnknown
	}
	of := rule(r)
	if of == nil {
		return "", nil, ErrUnknown
	}
	by, err := VerifySSH(signature, []byte(r.Statement()))
	if err != nil {
		return "", nil, err
	}
	name := of.who(by)
	if name == "" {
		return "", nil, errors.New("the signature is by a key that none of this key's approvers has")
	}
	before := status(of, r)
	if slices.Contains(before.Given, name) {
		return "", nil, fmt.Errorf("%s has approved it already", name)
	}
	next := *r
	next.Signatures = append(slices.Clone(r.Signatures), signature)
	after := status(of, &next)
	if err := record(name, after); err != nil {
		return "", nil, err
	}
	if err := t.files.write(&next); err != nil {
		return "", nil, err
	}
	t.waiting[id] = &next
	return name, after, nil
}

// Count is how many requests wait, approved or not.
func (t *Table) Count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.waiting)
}
