package ledger_test

import (
	"crypto"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hsmpki/hsmpki/hsmd/ledger"
)

// certID names a certificate as an OCSP query does, with SHA-1.
func certID(t testing.TB, i ledger.Issuer, n int) *ledger.CertID {
	return certIDWith(t, i, n, crypto.SHA1, "2b0e03021a")
}

func certIDWith(t testing.TB, i ledger.Issuer, n int, hash crypto.Hash, oid string) *ledger.CertID {
	t.Helper()
	var info struct {
		Algorithm asn1.RawValue
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(i.SPKI, &info); err != nil {
		t.Fatal(err)
	}
	of := func(b []byte) []byte {
		h := hash.New()
		h.Write(b)
		return h.Sum(nil)
	}
	id, err := hex.DecodeString(oid)
	if err != nil {
		t.Fatal(err)
	}
	return &ledger.CertID{Hash: id, NameHash: of(i.Name), KeyHash: of(info.Key.Bytes), Serial: serial(n)}
}

func TestASerialIsForOneCertificate(t *testing.T) {
	m := start(t)
	m.mustAll(m.issue(1, soon, "one"), m.issue(1, soon, "one"), m.issue(2, soon, "two"))
	refused(t, m.issue(1, soon, "other"), ledger.RuleSerial, "of another certificate that was signed for the issuer CN=Example Root (that would need approval)")
	m.restart()
	refused(t, m.issue(1, soon, "other"), ledger.RuleSerial, "CN=Example Root")
	m.mustAll(m.issue(1, soon, "one"))

	// The zero before a set high bit is DER's and not the number's.
	m.mustAll(m.Issue(m.ca, []byte{0, 0x80, 1}, soon, sum("high"), false))
	refused(t, m.Issue(m.ca, []byte{0, 0x80, 1}, soon, sum("other"), false), ledger.RuleSerial, "80:01")

	// Another issuer counts for itself: by name, and by key.
	other := issuer(t, "Example Root")
	m.mustAll(m.Issue(other, serial(1), soon, sum("other"), false),
		m.Issue(ledger.NewIssuer(name(t, "Another Root"), m.ca.SPKI), serial(1), soon, sum("other"), false))
}

func TestOneOfMany(t *testing.T) {
	m := start(t)
	for n := range 20 {
		var won atomic.Int32
		var running sync.WaitGroup
		for i := range 8 {
			running.Go(func() {
				if m.issue(n, soon, fmt.Sprint(i)) == nil {
					won.Add(1)
				}
			})
		}
		running.Wait()
		if won.Load() != 1 {
			t.Errorf("serial %d was signed for %d certificates", n, won.Load())
		}
	}
}

func TestRevokedStaysRevoked(t *testing.T) {
	m := start(t)
	m.mustAll(m.issue(1, soon, "one"), m.issue(2, soon, "two"), m.issue(3, past, "three"), m.issue(4, soon, "four"))
	m.mustAll(m.good(1), m.list(1, 0), m.list(2, 0, serial(1), serial(3), serial(9)), m.good(2))

	for range 2 { // and after a restart
		refused(t, m.good(1), ledger.RuleRevoked, "was revoked in CRL number 2")
		refused(t, m.Good(certID(t, m.ca, 9), true), ledger.RuleRevoked, "CRL number 2")
		refused(t, m.list(3, 0, serial(9)), ledger.RuleRevoked, "leaves out serial number")
		refused(t, m.list(3, 0), ledger.RuleRevoked, "revoked in CRL number 2")
		refused(t, m.list(3, 1, serial(1)), ledger.RuleRevoked, "leaves out")
		// Nobody knows when 9 ends: it was not issued here.
		refused(t, m.list(3, 0, serial(1), serial(2)), ledger.RuleRevoked, "is not known to have expired")
		// And nobody finds out by issuing it.
		refused(t, m.issue(9, past, "nine"), ledger.RuleSerial, "which is revoked")
		m.restart()
	}
	// 3 has expired, and need not be there. A delta on 2 needs nothing of 2.
	m.mustAll(m.list(3, 0, serial(9), serial(1)), m.list(4, 2))
	// A delta on 3 must have what CRLs after it have, deltas too.
	m.mustAll(m.list(5, 3, serial(2)))
	refused(t, m.list(6, 3), ledger.RuleRevoked, "revoked in CRL number 5")
	refused(t, m.list(6, 0, serial(1), serial(9)), ledger.RuleRevoked, "revoked in CRL number 5")
	m.mustAll(m.list(6, 5), m.list(7, 3, serial(2)), m.list(8, 0, serial(1), serial(2), serial(9)))
	m.mustAll(m.good(4))
}

func TestTakingBackIsRefused(t *testing.T) {
	m := start(t)
	m.mustAll(m.list(1, 0, serial(1)))
	refused(t, m.approvedList(2, 1, false, entry{1, 8}), ledger.RuleRevoked, "removeFromCRL")
	m.mustAll(m.list(2, 0, serial(1)))
}

// entry is a revoked serial, with its reason.
type entry struct {
	n      int
	reason uint8
}

func (m *memory) approvedList(number, base uint64, approved bool, entries ...entry) error {
	x := m.NewList(m.ca.SPKI, now)
	defer x.Close()
	for _, e := range entries {
		if err := x.Entry(m.ca.Name, serial(e.n), e.reason); err != nil {
			return err
		}
	}
	n := ledger.Numbering{Number: number}
	if base != 0 {
		n.Base = &base
	}
	return x.Claim(m.ca.Name, n, sum(fmt.Sprint(number, base, entries)), approved)
}

// What people have approved is signed once against the rules, and binds from then
// on as anything else does.
func TestApproved(t *testing.T) {
	m := start(t)
	m.mustAll(m.issue(1, soon, "one"), m.issue(2, soon, "two"), m.issue(3, soon, "three"))
	m.mustAll(m.list(50, 0, serial(1), serial(2), serial(3)))
	list := func(number, base uint64, entries ...entry) {
		t.Helper()
		err := m.approvedList(number, base, false, entries...)
		if r, ok := err.(*ledger.Refusal); !ok || !r.Approvable {
			t.Errorf("CRL number %d: %v", number, err)
		}
		m.mustAll(m.approvedList(number, base, true, entries...), m.approvedList(number, base, true, entries...))
		m.restart()
	}
	list(51, 50, entry{1, 8}) // taken back in a delta CRL
	m.mustAll(m.good(1))
	list(4, 0, entry{3, 1}) // by a restored CA, which knows of 3 alone
	m.mustAll(m.good(2), m.list(5, 0, serial(3)), m.list(6, 0, serial(1), serial(3)))
	refused(t, m.good(1), ledger.RuleRevoked, "CRL number 6")
	refused(t, m.list(7, 0, serial(3)), ledger.RuleRevoked, "leaves out")
	refused(t, m.approvedList(4, 0, true, entry{3, 1}), ledger.RuleNumber, "was approved, and signed so once")
	list(1<<40+100, 0, entry{1, 1}, entry{3, 1})

	other := func(approved bool) error { return m.Issue(m.ca, serial(2), soon, sum("other"), approved) }
	refused(t, other(false), ledger.RuleSerial, "another certificate")
	m.mustAll(other(true), other(true), other(false), m.issue(9, soon, "nine"))
	refused(t, m.issue(2, soon, "two"), ledger.RuleSerial, "another certificate")

	// What is no matter of opinion cannot be approved.
	refused(t, m.approvedList(1<<62+1, 0, true, entry{1, 1}, entry{3, 1}), ledger.RuleNumber, "2^62")
}

// A refused CRL has revoked nothing.
func TestRefusedListLeavesNoTrace(t *testing.T) {
	m := start(t)
	m.mustAll(m.issue(1, soon, "one"), m.list(1, 0, serial(2)))
	refused(t, m.list(2, 0, serial(1)), ledger.RuleRevoked, "leaves out")
	refused(t, m.list(1, 0, serial(1), serial(2)), ledger.RuleNumber, "")
	m.mustAll(m.good(1), m.list(2, 0, serial(2)))
}

// spelled is an issuer with one common name, of a string type and octets as given.
func spelled(t *testing.T, spki []byte, value asn1.RawValue) ledger.Issuer {
	t.Helper()
	der, err := asn1.Marshal([][]struct {
		ID    asn1.ObjectIdentifier
		Value asn1.RawValue
	}{{{asn1.ObjectIdentifier{2, 5, 4, 3}, value}}})
	if err != nil {
		t.Fatal(err)
	}
	der[2] = 0x31 // the inner SEQUENCE OF is a SET OF
	return ledger.NewIssuer(der, spki)
}

// Another spelling of a name is the same issuer to some readers.
func TestSpellingIsNoWayOut(t *testing.T) {
	m := start(t)
	m.mustAll(m.list(5, 0, serial(1)))
	for _, i := range []ledger.Issuer{
		spelled(t, m.ca.SPKI, asn1.RawValue{Tag: 12, Bytes: []byte("Example Root")}),
		spelled(t, m.ca.SPKI, asn1.RawValue{Tag: 12, Bytes: []byte("EXAMPLE  ROOT ")}),
		spelled(t, m.ca.SPKI, asn1.RawValue{Tag: 12, Bytes: []byte("example root")}),
		spelled(t, m.ca.SPKI, asn1.RawValue{Tag: 12, Bytes: []byte("Ｅxample Root")}),
		spelled(t, m.ca.SPKI, asn1.RawValue{Tag: 30, Bytes: []byte("\x00E\x00x\x00a\x00m\x00p\x00l\x00e\x00 \x00R\x00o\x00o\x00t")}),
		spelled(t, m.ca.SPKI, asn1.RawValue{Tag: 20, Bytes: []byte("Example\xa0Root")}),
	} {
		refused(t, m.listBy(i, 6, 0, "respelled"), ledger.RuleRevoked, "leaves out")
		refused(t, m.listBy(i, 5, 0, "respelled", serial(1)), ledger.RuleNumber, "has the number 5")
	}
	m.mustAll(m.listBy(ledger.NewIssuer(name(t, "Example Roof"), m.ca.SPKI), 1, 0, "another"))
}

// TestSpellingBeyondLatin: octets of a BMPString may look like ASCII, and letters may
// have beside them what RFC 4518, section 2.2, leaves out.
func TestSpellingBeyondLatin(t *testing.T) {
	m := start(t)
	root := spelled(t, m.ca.SPKI, asn1.RawValue{Tag: 12, Bytes: []byte("中共a")})
	m.mustAll(m.listBy(root, 5, 0, "first", serial(1)))
	for _, i := range []ledger.Issuer{
		spelled(t, m.ca.SPKI, asn1.RawValue{Tag: 30, Bytes: []byte("\x4e\x2d\x51\x71\x00A")}),
		spelled(t, m.ca.SPKI, asn1.RawValue{Tag: 12, Bytes: []byte("中\ufe0f共\u034fa\u1806\ufffc")}),
	} {
		refused(t, m.listBy(i, 6, 0, "respelled"), ledger.RuleRevoked, "leaves out")
	}
	plain := spelled(t, m.ca.SPKI, asn1.RawValue{Tag: 12, Bytes: []byte("中共")})
	m.mustAll(m.listBy(plain, 1, 0, "second", serial(1)))
	ascii := spelled(t, m.ca.SPKI, asn1.RawValue{Tag: 30, Bytes: []byte("\x4e\x2d\x51\x71")})
	refused(t, m.listBy(ascii, 6, 0, "octets of ASCII"), ledger.RuleRevoked, "leaves out")
}

func TestNumbersGrow(t *testing.T) {
	m := start(t)
	m.mustAll(m.list(7, 0), m.list(7, 0), m.list(8, 7))
	refused(t, m.list(7, 0), ledger.RuleNumber, "had 8")
	refused(t, m.list(8, 0), ledger.RuleNumber, "has the number 8")
	refused(t, m.list(9+1<<40, 0), ledger.RuleNumber, "more than 2^40 beyond 8")
	// One Name has one sequence, whatever the key.
	rolled := issuer(t, "Example Root")
	refused(t, m.listBy(rolled, 8, 0, "rolled"), ledger.RuleNumber, "had 8")
	m.mustAll(m.listBy(rolled, 9, 0, "rolled"))
	refused(t, m.list(9, 0), ledger.RuleNumber, "had 9")
	m.restart()
	for of, want := range map[string]uint64{"Example Root": 9, "Other": 0} {
		if got, err := m.LastNumber(name(t, of)); got != want || err != nil {
			t.Errorf("last number of %s: %d, %v, want %d", of, got, err, want)
		}
	}
	refused(t, m.listBy(issuer(t, "Other"), 1<<62+1, 0, "far"), ledger.RuleNumber, "2^62")
}

func TestGoodNeedsIssued(t *testing.T) {
	m := start(t)
	refused(t, m.good(1), ledger.RuleIssued, "does not know as issued")
	m.mustAll(m.issue(1, soon, "one"), m.good(1))
	for oid, hash := range map[string]crypto.Hash{"608648016503040201": crypto.SHA256, "608648016503040202": crypto.SHA384, "608648016503040203": crypto.SHA512} {
		m.mustAll(m.Good(certIDWith(t, m.ca, 1, hash, oid), false))
	}
	refused(t, m.Good(certIDWith(t, m.ca, 1, crypto.MD5, "2a864886f70d0205"), false), ledger.RuleIssued, "")
	refused(t, m.Good(certID(t, issuer(t, "Example Root"), 1), false), ledger.RuleIssued, "")
	refused(t, m.good(2), ledger.RuleIssued, "unrecorded_good_until")
	m.mustAll(m.Good(certID(t, m.ca, 2), true))
}

// A long CRL is passed through; a short one may come in any order.
func TestLongLists(t *testing.T) {
	m := start(t)
	const n = ledger.Shuffled + 1000
	at := func(i int) []byte { return []byte{byte(i>>16) | 1, byte(i >> 8), byte(i), byte(i)} }
	var long [][]byte
	for _, high := range []int{0x010000, 0x030000} {
		for i := range n / 2 {
			long = append(long, at(high+i))
		}
	}
	m.mustAll(m.list(1, 0, long[5], long[3], long[7], long[5]))
	m.mustAll(m.listBy(m.ca, 2, 0, "long", long...), m.listBy(m.ca, 3, 0, "twice", append([][]byte{long[0]}, long...)...))
	refused(t, m.listBy(m.ca, 4, 0, "first left out", long[1:]...), ledger.RuleRevoked, "revoked in CRL number 2")
	refused(t, m.listBy(m.ca, 4, 0, "last left out", long[:len(long)-1]...), ledger.RuleRevoked, "leaves out")
	middle := append(append([][]byte{}, long[:n/3]...), long[n/3+1:]...)
	refused(t, m.listBy(m.ca, 4, 0, "one left out", middle...), ledger.RuleRevoked, "leaves out")
	swapped := append([][]byte{}, long...)
	swapped[10], swapped[11] = swapped[11], swapped[10]
	refused(t, m.listBy(m.ca, 4, 0, "out of order", swapped...), ledger.RuleOrder, "not in order")
	m.mustAll(m.listBy(m.ca, 4, 3, "delta"))

	// One that was signed meanwhile is noticed.
	x := m.NewList(m.ca.SPKI, now)
	defer x.Close()
	for _, s := range long {
		m.mustAll(x.Entry(m.ca.Name, s, 0))
	}
	m.mustAll(m.list(5, 4, octets(99)))
	err := x.Claim(m.ca.Name, ledger.Numbering{Number: 6}, sum("overtaken"), false)
	refused(t, err, ledger.RuleNumber, "overtaken")
	if r, _ := err.(*ledger.Refusal); r == nil || !r.Again || r.Approvable {
		t.Errorf("%+v", r)
	}
}

func TestOneLargeListAtATime(t *testing.T) {
	m := start(t)
	fill := func(x *ledger.List) (err error) {
		for i := 0; i < ledger.Shuffled+2 && err == nil; i++ {
			err = x.Entry(m.ca.Name, []byte{1, byte(i >> 16), byte(i >> 8), byte(i)}, 0)
		}
		return err
	}
	one, two := m.NewList(m.ca.SPKI, now), m.NewList(m.ca.SPKI, now)
	defer two.Close()
	m.mustAll(fill(one))
	refused(t, fill(two), ledger.RuleRevoked, "another such CRL is under way")
	one.Close()
	one.Close()
	three := m.NewList(m.ca.SPKI, now)
	defer three.Close()
	m.mustAll(fill(three))
}
