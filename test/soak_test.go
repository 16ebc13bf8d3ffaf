package test

import (
	"crypto/x509"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/test/check"
	"github.com/hsmpki/hsmpki/test/daemon"
	"github.com/hsmpki/hsmpki/test/softhsm"
)

// TestCase52_53_Soak has callers issue, revoke and read CRLs while workers are
// killed and stalled, hsmd and pkid killed, the token moved away, at random, for a
// minute or $HSMPKI_SOAK. In the end, every certificate that a caller got is
// stored as he got it, no serial was used twice, what was revoked is so on the
// CRL and over OCSP, and calls succeed again. $HSMPKI_SOAK_SEED plays the same
// faults again.
func TestCase52_53_Soak(t *testing.T) {
	t.Parallel() // others beside it are more load
	length, seed := time.Minute, uint64(time.Now().UnixNano())
	if text := os.Getenv("HSMPKI_SOAK"); text != "" {
		var err error
		if length, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	if text := os.Getenv("HSMPKI_SOAK_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%v of faults, HSMPKI_SOAK_SEED=%d", length, seed)

	p := quietPair(t)
	ca(t, p)
	c := startCallers(t, p.PKID)
	quiet := max(length/20, time.Second)
	time.Sleep(quiet)
	before := c.latencies()
	f := &faults{t: t, p: p, c: c, random: rand.New(rand.NewPCG(seed, 0)), made: map[string]int{}}
	f.during(length)
	c.recover(30 * time.Second)
	c.latencies()
	time.Sleep(quiet)
	after := c.latencies()
	c.finish()

	t.Logf("faults: %v; %s", f.made, c.counts())
	t.Logf("median of an issuance: %v before the faults, %v after, ratio %.2f",
		median(before), median(after), float64(median(after))/float64(median(before)))
	c.stored()
	check.CA(t, p)
}

// quietPair is daemon.Start with logs that can be kept for ten minutes.
func quietPair(t *testing.T) *daemon.Pair {
	t.Helper()
	token := softhsm.New(t)
	h := daemon.NewHSMD(t, "")
	h.Level = "warn"
	h.Write(t, daemon.Libraries(token.Store)+daemon.WireKeys)
	h.Start()
	p := daemon.NewPKID(t, h, "")
	p.Quiet(t)
	p.Start()
	return &daemon.Pair{Token: token, HSMD: h, PKID: p}
}

// faults are made one after the other, with some time for work between them.
type faults struct {
	t      *testing.T
	p      *daemon.Pair
	c      *callers
	random *rand.Rand
	made   map[string]int
}

func (f *faults) during(length time.Duration) {
	f.t.Helper()
	kinds := map[string]func(){"worker killed": f.killWorker, "hsmd killed": f.killHSMD, "pkid killed": f.killPKID, "token away": f.moveToken, "worker stalled": f.stallWorker}
	names := slices.Sorted(maps.Keys(kinds))
	for end := time.Now().Add(length); time.Now().Before(end); {
		time.Sleep(f.upTo(2 * time.Second))
		name := names[f.random.IntN(len(names))]
		kinds[name]()
		f.made[name]++
	}
}

func (f *faults) upTo(d time.Duration) time.Duration { return time.Duration(f.random.Int64N(int64(d))) }

func (f *faults) killWorker() { f.signalWorkers(syscall.SIGKILL) }

func (f *faults) signalWorkers(s syscall.Signal) {
	for _, pid := range f.p.HSMD.WorkerPIDs() {
		_ = syscall.Kill(pid, s) // it may have ended by itself
	}
}

// stallWorker is the HSM that takes its time.
func (f *faults) stallWorker() {
	f.signalWorkers(syscall.SIGSTOP)
	time.Sleep(f.upTo(3 * time.Second))
	f.signalWorkers(syscall.SIGCONT)
}

// killHSMD leaves hsmd away for a while: who asks meanwhile is told to come
// again, and nothing is stored for him.
func (f *faults) killHSMD() {
	f.p.HSMD.Kill9()
	time.Sleep(f.upTo(time.Second))
	f.p.HSMD.Start()
}

func (f *faults) killPKID() {
	f.p.PKID.Kill9()
	time.Sleep(f.upTo(time.Second))
	f.p.PKID.Start()
}

func (f *faults) moveToken() {
	f.t.Helper()
	dir := f.p.Token.Tokens
	if err := os.Rename(dir, dir+".away"); err != nil {
		f.t.Fatal(err)
	}
	time.Sleep(f.upTo(3 * time.Second))
	if err := os.Rename(dir+".away", dir); err != nil {
		f.t.Fatal(err)
	}
}

func median(d []time.Duration) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[len(d)/2].Round(10 * time.Microsecond)
}

// stored compares what callers got with what is stored.
func (c *callers) stored() {
	c.t.Helper()
	for serial, pem := range c.got {
		stored := c.p.Must(c.t, "GET", "pki/cert/"+serial, nil).String(c.t, "certificate")
		if !parse(c.t, stored).Equal(parse(c.t, pem)) {
			c.t.Errorf("the certificate stored as %s is not the one that was given out", serial)
		}
	}
	// After builds that failed, readers get the list before for up to half a minute.
	var missing []string
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Second) {
		if missing = c.unlisted(); len(missing) == 0 || time.Now().After(end) {
			break
		}
	}
	for _, serial := range missing {
		c.t.Errorf("%s was revoked, and is not on the CRL", serial)
	}
}

// unlisted are the certificates that were revoked, and are not on the CRL that
// is served.
func (c *callers) unlisted() (missing []string) {
	c.t.Helper()
	list, err := x509.ParseRevocationList(c.p.Must(c.t, "GET", "pki/crl", nil).Body)
	if err != nil {
		c.t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, e := range list.RevokedCertificateEntries {
		listed[e.SerialNumber.String()] = true
	}
	for serial := range c.revoked {
		if !listed[parse(c.t, c.got[serial]).SerialNumber.String()] {
			missing = append(missing, serial)
		}
	}
	return missing
}
