package ledger_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hsmpki/hsmpki/hsmd/ledger"
)

// cut takes the power: what was not synced may be gone, some of it.
func (m *memory) cut(fs *vfs.MemFS, r *rand.Rand) *vfs.MemFS {
	m.t.Helper()
	left := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 30, RNG: r})
	m.cfg.FS = left
	old := m.Ledger
	m.Ledger = nil
	m.open()
	m.mustAll(old.Close())
	return left
}

// What was answered is known after a crash.
func TestCrash(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	m := &memory{t: t, ca: issuer(t, "Example Root")}
	fs := crashable(m)
	m.cfg.Log = start(t).cfg.Log
	m.open()
	var revoked [][]byte
	number := uint64(0)
	for n := range 60 {
		m.mustAll(m.issue(n, soon, fmt.Sprint(n)))
		if n%3 == 0 {
			number++
			revoked = append(revoked, serial(n))
			m.mustAll(m.list(number, 0, revoked...))
		}
		if n%4 != 0 {
			continue
		}
		fs = m.cut(fs, r)
		for k := range n + 1 {
			refused(t, m.issue(k, soon, "other"), ledger.RuleSerial, "another certificate")
			m.mustAll(m.issue(k, soon, fmt.Sprint(k)))
			if k%3 == 0 {
				refused(t, m.good(k), ledger.RuleRevoked, "")
			} else {
				m.mustAll(m.good(k))
			}
		}
		refused(t, m.list(number+1, 0, revoked[1:]...), ledger.RuleRevoked, "leaves out")
		refused(t, m.list(number, 0), ledger.RuleNumber, "")
	}
}

// facts are a log of what was judged.
func (m *memory) facts(number uint64, x *ledger.List, text string) (facts []ledger.Fact) {
	for serials := range x.First(3) {
		facts = append(facts, ledger.Fact{Kind: ledger.Revoked, Issuer: m.ca, Number: number, Serials: serials})
	}
	return append(facts, ledger.Fact{Kind: ledger.Listed, Issuer: m.ca, Number: number, Sum: sum(text)})
}

// With a log, the ledger is not synced; what a crash took, and what an old copy
// of it lacks, comes back from the log.
func TestReplay(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	m := &memory{t: t, ca: issuer(t, "Example Root")}
	fs := crashable(m)
	m.cfg.Log, m.cfg.Replayed = start(t).cfg.Log, true
	m.open()
	var log []ledger.Fact
	replay := func() {
		from, tally, err := m.Position()
		m.mustAll(err)
		if string(tally) != fmt.Sprint(from) && from > 0 {
			t.Errorf("the tally of position %d is %q", from, tally)
		}
		for _, f := range log[from:] {
			m.mustAll(m.Replay(&f))
		}
	}
	number := uint64(0)
	for n := range 40 {
		m.mustAll(m.issue(n, soon, fmt.Sprint(n)))
		log = append(log, ledger.Fact{Kind: ledger.Issued, Issuer: m.ca, Serials: [][]byte{serial(n)}, NotAfter: soon, Sum: sum(fmt.Sprint(n))})
		if n%5 == 0 {
			number++
			x := m.NewList(m.ca.SPKI, now)
			for k := range n + 1 {
				if k%2 == 0 {
					m.mustAll(x.Entry(m.ca.Name, serial(k), 1))
				}
			}
			m.mustAll(x.Claim(m.ca.Name, ledger.Numbering{Number: number}, sum("list"), false))
			log = append(log, m.facts(number, x, "list")...)
			x.Close()
		}
		if n%3 == 0 {
			m.mustAll(m.Mark(uint64(len(log)), fmt.Append(nil, len(log))))
		}
		if n%7 == 6 {
			fs = m.cut(fs, r)
			replay()
			m.check(n, number)
		}
	}
	// As a log has it, without the key itself. An empty ledger beside the log; replaying twice changes nothing.
	for i := range log {
		log[i].Issuer.SPKI = nil
	}
	m.cfg.FS = vfs.NewMem()
	m.mustAll(m.Close())
	m.Ledger = nil
	m.open()
	if !m.Fresh() {
		t.Error("a new ledger is not fresh")
	}
	replay()
	replay()
	refused(t, m.good(1), ledger.RuleIssued, "")
	m.mustAll(m.issue(100, soon, "the issuer signs again"))
	m.check(39, number)
}

// check looks whether all up to the nth certificate is known.
func (m *memory) check(n int, number uint64) {
	m.t.Helper()
	for k := range n + 1 {
		refused(m.t, m.issue(k, soon, "other"), ledger.RuleSerial, "another certificate")
		if k%2 == 0 && k <= n/5*5 {
			refused(m.t, m.good(k), ledger.RuleRevoked, "")
		} else {
			m.mustAll(m.good(k))
		}
	}
	refused(m.t, m.list(number+1, 0), ledger.RuleRevoked, "")
	refused(m.t, m.list(number, 0), ledger.RuleNumber, fmt.Sprintf("had %d", number))
}

func TestOneAtATime(t *testing.T) {
	m := start(t)
	if l, err := ledger.Open(m.cfg); err == nil {
		l.Close()
		t.Error("opened twice")
	}
}
