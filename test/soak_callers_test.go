package test

import (
	"crypto/x509"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/test/daemon"
)

// callers issue, revoke and read CRLs until they are stopped, and remember what
// they were answered.
type callers struct {
	t    *testing.T
	p    *daemon.PKID
	csr  string
	stop chan struct{}
	done sync.WaitGroup

	mu       sync.Mutex
	got      map[string]string // certificates by serial
	fresh    []string          // serials that nobody has tried to revoke
	revoked  map[string]bool   // serials for which revoking was answered
	read     int               // CRLs
	number   *big.Int          // of the last CRL
	took     []time.Duration   // of issuances, since the last look
	refusals map[string]int    // by what was answered
}

// startCallers starts four who issue, one who revokes and one who reads CRLs.
// They pause between calls: what is there after ten minutes is checked one by
// one.
func startCallers(t *testing.T, p *daemon.PKID) *callers {
	t.Helper()
	c := &callers{t: t, p: p, csr: request(t, "load.example.com"), stop: make(chan struct{}),
		got: map[string]string{}, revoked: map[string]bool{}, refusals: map[string]int{}}
	for range 4 {
		c.every(40*time.Millisecond, c.issue)
	}
	c.every(150*time.Millisecond, c.revoke)
	c.every(150*time.Millisecond, c.readCRL)
	return c
}

func (c *callers) every(pause time.Duration, call func()) {
	c.done.Go(func() {
		for {
			select {
			case <-c.stop:
				return
			case <-time.After(pause):
				call()
			}
		}
	})
}

// ask gives nil where the answer is not 200. While pkid is killed there is none;
// while it has no hsmd, it has to be one that says when to come again.
func (c *callers) ask(method, path string, body any) *daemon.Answer {
	a, err := c.p.Request(method, path, body)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err != nil:
		c.refusals["no answer"]++
		return nil
	case a.Status == 200:
		return a
	}
	c.refusals[fmt.Sprintf("%d", a.Status)]++
	if a.Status != 503 && a.Status != 429 || a.Header.Get("Retry-After") == "" {
		c.t.Errorf("%s %s: %d %v, Retry-After %q", method, path, a.Status, a.Errors, a.Header.Get("Retry-After"))
	}
	return nil
}

func (c *callers) issue() {
	start := time.Now()
	a := c.ask("POST", "pki/sign/web", map[string]any{"csr": c.csr, "common_name": "load.example.com"})
	if a == nil {
		return
	}
	serial, _ := a.Data["serial_number"].(string)
	pem, _ := a.Data["certificate"].(string)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.got[serial] != "" {
		c.t.Errorf("serial %s was given out twice", serial)
	}
	c.got[serial] = pem
	c.fresh = append(c.fresh, serial)
	c.took = append(c.took, time.Since(start))
}

func (c *callers) revoke() {
	c.mu.Lock()
	if len(c.fresh) == 0 {
		c.mu.Unlock()
		return
	}
	serial := c.fresh[0]
	c.fresh = c.fresh[1:]
	c.mu.Unlock()
	if c.ask("POST", "pki/revoke", map[string]any{"serial_number": serial}) != nil {
		c.mu.Lock()
		c.revoked[serial] = true
		c.mu.Unlock()
	}
}

// readCRL checks that the CRL is whole and not older than one seen before.
func (c *callers) readCRL() {
	a := c.ask("GET", "pki/crl", nil)
	if a == nil {
		return
	}
	list, err := x509.ParseRevocationList(a.Body)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err != nil:
		c.t.Errorf("a CRL: %v", err)
	case c.number != nil && list.Number.Cmp(c.number) < 0:
		c.t.Errorf("CRL number %v after %v", list.Number, c.number)
	default:
		c.number, c.read = list.Number, c.read+1
	}
}

// latencies are those of the issuances since the last look.
func (c *callers) latencies() []time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.took
	c.took = nil
	return out
}

// recover waits until each kind of call has succeeded again.
func (c *callers) recover(within time.Duration) {
	c.t.Helper()
	progress := func() (int, int, int) {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.got), len(c.revoked), c.read
	}
	got, revoked, read := progress()
	for end := time.Now().Add(within); ; time.Sleep(50 * time.Millisecond) {
		nowGot, nowRevoked, nowRead := progress()
		if nowGot > got+10 && nowRevoked > revoked && nowRead > read {
			return
		}
		if time.Now().After(end) {
			c.t.Errorf("%v after the last fault: %d issued, %d revoked, %d CRLs read; refused: %v",
				within, nowGot-got, nowRevoked-revoked, nowRead-read, c.refusals)
			return
		}
	}
}

func (c *callers) finish() {
	close(c.stop)
	c.done.Wait()
}

func (c *callers) counts() string {
	var refused []string
	for _, what := range slices.Sorted(maps.Keys(c.refusals)) {
		refused = append(refused, fmt.Sprintf("%s %d times", what, c.refusals[what]))
	}
	return fmt.Sprintf("%d issued, %d revoked, %d CRLs read, CRL number %v; refused: %s", len(c.got), len(c.revoked), c.read, c.number, strings.Join(refused, ", "))
}
