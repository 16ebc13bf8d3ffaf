//go:build cgo

package pkcs11

import (
	"context"
	"crypto/rand"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hsmpki/hsmpki/wire"
)

// Service is one library with the keys that hsmd has defined on its tokens. The
// library is loaded when it is first needed.
type Service struct {
	log     *slog.Logger
	started time.Time
	ownKey  []byte // of fingerprints, which never leave the process

	loading chan struct{} // taken by whoever loads the library
	watch   func() *watch // over the library's calls, from the first on
	tending sync.Mutex    // held by who looks after idle sessions
	closed  chan struct{} // by Close

	mu          sync.Mutex
	module      *module
	library     wire.WorkerConfig
	maxSessions int
	keys        map[string]*key // by handle
	known       map[uint]*token // by slot
	refusals    []wire.Refusal  // since the start
	refused     map[string]bool // fingerprints of the PINs in refusals
}

// New makes a Service without a library; the first Configure names it.
func New(log *slog.Logger) *Service {
	own := make([]byte, 32)
	rand.Read(own)
	s := &Service{log: log, started: time.Now(), ownKey: own, loading: make(chan struct{}, 1), closed: make(chan struct{}),
		keys: map[string]*key{}, known: map[uint]*token{}, refused: map[string]bool{}}
	s.watch = sync.OnceValue(func() *watch { return newWatch(log, s.closed) })
	return s
}

// Close ends the use of the library. Where calls may still be under way,
// C_Finalize crashes some libraries, and the end of the process does as well. It
// is called once.
func (s *Service) Close(idle bool) {
	defer close(s.closed) // C_Finalize may hang, and is watched
	// Whoever tends sessions may be in a call that hangs: he is not waited for,
	// and once this is held he does not begin again.
	idle = s.tending.TryLock() && idle
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.module != nil && idle {
		_ = s.module.Finalize()
	}
}

// Configure implements [wire.Service]. It keeps the definition and touches
// neither library nor token. A request without a name tells the library alone.
func (s *Service) Configure(_ context.Context, req *wire.ConfigureRequest) (*wire.ConfigureResponse, error) {
	if req.Worker == nil || req.Worker.Library == "" {
		return nil, wire.Errorf(wire.Invalid, "a worker is told its library with each definition")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.library.Library != "" && !sameFile(s.library.Library, req.Worker.Library) {
		return nil, wire.Errorf(wire.Invalid, "this worker has library %s, not %s", s.library.Library, req.Worker.Library)
	}
	s.library = *req.Worker
	s.maxSessions = max(s.maxSessions, req.Worker.MaxSessions)
	d := req.Definition
	if d.Name == "" {
		return &wire.ConfigureResponse{}, nil
	}
	if d.PKCS11 == nil {
		return nil, wire.Errorf(wire.Invalid, "managed key %q is not of PKCS#11", d.Name)
	}
	s.keys[req.Handle()] = newKey(d, *req.Worker)
	return &wire.ConfigureResponse{UUID: d.UUID}, nil
}

// sameFile reports whether two paths lead to one library, which then is loaded
// once for both.
func sameFile(a, b string) bool {
	if a == b {
		return true
	}
	first, err := os.Stat(a)
	if err != nil {
		return false
	}
	second, err := os.Stat(b)
	return err == nil && os.SameFile(first, second)
}

// Forget implements [wire.Service].
func (s *Service) Forget(_ context.Context, req *wire.ForgetRequest) (*wire.ForgetResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.keys[req.Key]; !ok {
		return nil, wire.Errorf(wire.UnknownKey, "no managed key %q", req.Key)
	}
	delete(s.keys, req.Key)
	return &wire.ForgetResponse{}, nil
}

func (s *Service) lookup(name string) (*key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.keys[name]; k != nil {
		return k, nil
	}
	return nil, wire.Errorf(wire.UnknownKey, "no managed key %q", name)
}

// load gives the library, loaded and initialised. A failure is not for good: a
// vendor's daemon may be started later.
func (s *Service) load(ctx context.Context) (*module, error) {
	s.mu.Lock()
	m, library := s.module, s.library
	s.mu.Unlock()
	if m != nil {
		return m, nil
	}
	if library.Library == "" {
		return nil, wire.Errorf(wire.Invalid, "no library is configured yet")
	}
	select {
	case s.loading <- struct{}{}:
		defer func() { <-s.loading }()
	case <-ctx.Done():
		return nil, gaveUp(ctx)
	}
	s.mu.Lock()
	m = s.module
	s.mu.Unlock()
	if m != nil {
		return m, nil
	}
	m, err := load(library.Library, library.InitArgs, s.watch())
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.module = m
	s.mu.Unlock()
	go s.tend()
	s.log.Debug("loaded", "library", library.Library)
	return m, nil
}

// Describe implements [wire.Service]. Without Find it answers what was found
// before, with it what the token has now.
func (s *Service) Describe(ctx context.Context, req *wire.DescribeRequest) (*wire.DescribeResponse, error) {
	keys, err := s.described(req.Key)
	if err != nil {
		return nil, err
	}
	response := &wire.DescribeResponse{Keys: []wire.KeyInfo{}}
	for _, k := range keys {
		f := k.found.Load()
		var fault error
		if req.Find {
			k.drop() // the token is asked, not the cache
			f, fault = s.look(ctx, k)
		}
		response.Keys = append(response.Keys, k.info(f, fault))
	}
	return response, nil
}

func (s *Service) described(name string) ([]*key, error) {
	if name != "" {
		k, err := s.lookup(name)
		return []*key{k}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var keys []*key
	for _, k := range s.keys {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b *key) int { return strings.Compare(a.definition.Name, b.definition.Name) })
	return keys, nil
}

// info is the key as an answer shows it, without the PIN.
func (k *key) info(f *found, fault error) wire.KeyInfo {
	shown := *k.definition.PKCS11
	shown.PIN = ""
	info := wire.KeyInfo{Definition: k.definition, Fault: wire.FaultOf(fault)}
	info.Definition.PKCS11 = &shown
	if f != nil && fault == nil {
		info.PublicKey, info.Schemes, info.Hashed = f.spki, f.schemes(false), f.schemes(true)
	}
	return info
}

// Test implements [wire.Service]. Test messages are made by hsmd, where the
// rule about what they look like is.
func (s *Service) Test(context.Context, *wire.TestRequest) (*wire.TestResponse, error) {
	return nil, wire.Errorf(wire.Invalid, "a worker makes no test messages")
}
