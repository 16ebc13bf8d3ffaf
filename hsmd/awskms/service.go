// Package awskms answers [wire.Service] from AWS KMS, for as many keys, accounts
// and regions as hsmd's definitions name. It is the one package that imports
// AWS's SDK.
//
// It runs in hsmd's own process, since it loads nobody's code into it. It knows
// nothing of peers or of what is signed: it is handed digests, and messages where
// a scheme has no hash. Start with [Service] and sign.go; README.md says which
// rights it needs and why.
package awskms

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hsmpki/hsmpki/wire"
)

// Config is what a Service is made of.
type Config struct {
	Log *slog.Logger
	// Creations bounds the keys that are made in one account and region within
	// an hour, as KMS tells, also over restarts. 0: 10.
	Creations int
	// Recheck is how old the knowledge of where an alias points may be. 0: a
	// minute.
	Recheck time.Duration
	// Patience is how long a try waits for an answer, so that a lost packet does
	// not cost a request its whole time. 0: 5 s.
	Patience time.Duration
}

// Service is AWS KMS with the keys that hsmd has defined in it.
type Service struct {
	log       *slog.Logger
	creations int
	recheck   time.Duration
	patience  time.Duration

	mu       sync.Mutex
	keys     map[string]*key // by handle
	accounts map[identity]*account
}

var _ wire.Service = (*Service)(nil)

// New makes a Service without keys. It asks nobody anything.
func New(c Config) *Service {
	s := &Service{log: c.Log, creations: c.Creations, recheck: c.Recheck, patience: c.Patience, keys: map[string]*key{}, accounts: map[identity]*account{}}
	if s.creations == 0 {
		s.creations = 10
	}
	if s.recheck == 0 {
		s.recheck = time.Minute
	}
	if s.patience == 0 {
		s.patience = 5 * time.Second
	}
	return s
}

// Configure implements [wire.Service]. It keeps the definition and asks KMS
// nothing.
func (s *Service) Configure(_ context.Context, req *wire.ConfigureRequest) (*wire.ConfigureResponse, error) {
	d := req.Definition
	if d.AWSKMS == nil {
		return nil, wire.Errorf(wire.Invalid, "managed key %q is not of AWS KMS", d.Name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys[req.Handle()] = &key{name: d.Name, definition: d, aws: d.AWSKMS, looking: make(chan struct{}, 1), fromWire: req.Worker != nil && req.Worker.FromWire}
	s.repace(identityOf(d.AWSKMS))
	return &wire.ConfigureResponse{UUID: d.UUID}, nil
}

// Forget implements [wire.Service]. The key in KMS stays.
func (s *Service) Forget(_ context.Context, req *wire.ForgetRequest) (*wire.ForgetResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.keys[req.Key]
	if k == nil {
		return nil, unknown(req.Key)
	}
	delete(s.keys, req.Key)
	s.repace(identityOf(k.aws))
	return &wire.ForgetResponse{}, nil
}

// repace has an account go at the pace of the slowest of its keys; those that
// came over the wire are asked only where there are no others. An account that has
// none is given up, with its credentials, unless it says what was made of late.
func (s *Service) repace(id identity) {
	var slowest *key
	for _, k := range s.keys {
		if identityOf(k.aws) != id {
			continue
		}
		if slowest == nil || slowest.fromWire && !k.fromWire || slowest.fromWire == k.fromWire && k.rate() < slowest.rate() {
			slowest = k
		}
	}
	switch a := s.accounts[id]; {
	case a == nil:
	case slowest != nil:
		a.signing.setTop(slowest.rate())
	case len(a.lately()) == 0:
		delete(s.accounts, id)
	}
}

func unknown(name string) error { return wire.Errorf(wire.UnknownKey, "no managed key %q", name) }

func (s *Service) lookup(handle string) (*key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.keys[handle]; k != nil {
		return k, nil
	}
	return nil, unknown(handle)
}

// account gives the account and region that a key is in.
func (s *Service) account(k *key) *account {
	id := identityOf(k.aws)
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.accounts[id]
	if a == nil {
		a = newAccount(id, k.rate(), s.patience)
		s.accounts[id] = a
		s.repace(id)
	}
	return a
}

// Describe implements [wire.Service]. Without Find it answers what was found
// before, with it what KMS says now.
func (s *Service) Describe(ctx context.Context, req *wire.DescribeRequest) (*wire.DescribeResponse, error) {
	keys, err := s.described(req.Key)
	if err != nil {
		return nil, err
	}
	answer := &wire.DescribeResponse{Keys: []wire.KeyInfo{}}
	for _, k := range keys {
		f := k.known()
		var fault error
		if req.Find {
			f, fault = s.find(ctx, k)
		}
		answer.Keys = append(answer.Keys, k.info(f, fault))
	}
	return answer, nil
}

func (s *Service) described(handle string) ([]*key, error) {
	if handle != "" {
		k, err := s.lookup(handle)
		return []*key{k}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var keys []*key
	for _, k := range s.keys {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b *key) int { return strings.Compare(a.name, b.name) })
	return keys, nil
}

// Test implements [wire.Service]. Test messages are made by hsmd's server, where
// the rule about what they look like is.
func (s *Service) Test(context.Context, *wire.TestRequest) (*wire.TestResponse, error) {
	return nil, wire.Errorf(wire.Invalid, "a backend makes no test messages")
}
