package server

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hsmpki/hsmpki/wire"
)

// numbers are what a Server counts, for those who watch it. Labels are names of
// keys, libraries and codes: never what a peer sends as it likes.
type numbers struct {
	mu      sync.Mutex
	asked   map[askedKey]uint64
	signed  timesOf // of whole requests
	atToken timesOf // of what their tokens had of them
}

type askedKey struct{ operation, code string }

type signedKey struct{ key, library string }

type timesOf map[signedKey]*histogram

// bounds are those of the histograms, in seconds: from a key in memory to the
// deadline of a request.
var bounds = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}

// maxSigned bounds the keys that are counted one by one.
const maxSigned = 1000

type histogram struct {
	counts []uint64 // at or below each bound
	count  uint64
	sum    float64
}

func (h *histogram) observe(seconds float64) {
	if h.counts == nil {
		h.counts = make([]uint64, len(bounds))
	}
	for i := len(bounds) - 1; i >= 0 && seconds <= bounds[i]; i-- {
		h.counts[i]++
	}
	h.count++
	h.sum += seconds
}

func (n *numbers) count(operation string, err error) {
	code := "ok"
	if e := wire.AsError(err); e != nil {
		code = e.Code.String()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.asked == nil {
		n.asked = map[askedKey]uint64{}
	}
	n.asked[askedKey{operation, code}]++
}

// sign counts a signature of a key, and atTheToken what one of its tokens had of
// it: those of a key with copies are in several libraries.
func (n *numbers) sign(key, library string, took time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.signed.observe(key, library, took)
}

func (n *numbers) atTheToken(key, library string, took time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.atToken.observe(key, library, took)
}

func (t *timesOf) observe(key, library string, took time.Duration) {
	if *t == nil {
		*t = timesOf{}
	}
	if (*t)[signedKey{key, library}] == nil && len(*t) >= maxSigned {
		key = "others" // a client may define and forget keys without end
	}
	h := (*t)[signedKey{key, library}]
	if h == nil {
		h = new(histogram)
		(*t)[signedKey{key, library}] = h
	}
	h.observe(took.Seconds())
}

// list gives all, in order.
func (n *numbers) list() (all []wire.Number) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for k, v := range n.asked {
		all = append(all, wire.Number{Name: "requests_total", Labels: map[string]string{"operation": k.operation, "code": k.code}, Value: float64(v)})
	}
	for name, times := range map[string]timesOf{"sign_duration_seconds": n.signed, "token_duration_seconds": n.atToken} {
		for k, h := range times {
			all = append(all, wire.Number{Name: name, Labels: map[string]string{"key": k.key, "library": k.library},
				Value: float64(h.count), Bounds: bounds, Counts: slices.Clone(h.counts), Sum: h.sum})
		}
	}
	slices.SortFunc(all, func(a, b wire.Number) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Labels["operation"]+a.Labels["key"], b.Labels["operation"]+b.Labels["key"]),
			cmp.Compare(a.Labels["code"]+a.Labels["library"], b.Labels["code"]+b.Labels["library"]))
	})
	return all
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// gauges are what is so now.
func (s *Server) gauges() []wire.Number {
	s.mu.Lock()
	connections, signing := len(s.open), 0
	for _, h := range s.held {
		signing += h.all
	}
	s.mu.Unlock()
	gauge := func(name string, value float64) wire.Number {
		return wire.Number{Name: name, Value: value, Gauge: true}
	}
	all := []wire.Number{
		gauge("connections", float64(connections)),
		gauge("signatures_under_way", float64(signing)),
		gauge("managed_keys", float64(len(s.state.Load().Keys.All()))),
	}
	if s.audit != nil {
		all = append(all, gauge("log_entries", float64(s.audit.Size())), gauge("log_writable", truth(s.audit.Writable())),
			gauge("log_bytes", float64(s.audit.Octets())), gauge("ledger_bytes", float64(s.ledger.Octets())))
		witnesses := s.audit.Witnessed()
		for _, name := range slices.Sorted(maps.Keys(witnesses)) {
			all = append(all, wire.Number{Name: "witness_signed", Labels: map[string]string{"witness": name}, Value: truth(witnesses[name]), Gauge: true})
		}
	}
	if s.approvals != nil {
		all = append(all, gauge("approvals_waiting", float64(s.approvals.Count())))
	}
	return all
}

// measured is a session that counts what it is asked.
type measured struct{ *session }

var (
	_ wire.Service   = (*measured)(nil)
	_ wire.Approving = (*measured)(nil)
)

func (m *measured) Sign(ctx context.Context, req *wire.SignRequest) (*wire.SignResponse, error) {
	began := time.Now()
	answer, err := m.session.Sign(ctx, req)
	m.srv.numbers.count("sign", err)
	if err == nil {
		// One that was signed for is there, or was until now.
		if k := m.srv.state.Load().Keys.Lookup(req.Key); k != nil && k.Library != nil {
			m.srv.numbers.sign(k.Name(), k.Library.Name, time.Since(began))
		}
	}
	return answer, err
}

func (m *measured) Generate(ctx context.Context, req *wire.GenerateRequest) (*wire.GenerateResponse, error) {
	answer, err := m.session.Generate(ctx, req)
	m.srv.numbers.count("generate", err)
	return answer, err
}

func (m *measured) Test(ctx context.Context, req *wire.TestRequest) (*wire.TestResponse, error) {
	answer, err := m.session.Test(ctx, req)
	m.srv.numbers.count("test", err)
	return answer, err
}

func (m *measured) Configure(ctx context.Context, req *wire.ConfigureRequest) (*wire.ConfigureResponse, error) {
	answer, err := m.session.Configure(ctx, req)
	m.srv.numbers.count("configure", err)
	return answer, err
}
