package chain_test

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/pkid/chain"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// scene is a set of certificates by name, in the order of their making.
type scene struct {
	t     *testing.T
	keys  map[string]ed25519.PrivateKey
	certs map[string]*x509.Certificate
	order []string
	// without leaves key identifiers out.
	without bool
}

func newScene(t *testing.T) *scene {
	return &scene{t: t, keys: map[string]ed25519.PrivateKey{}, certs: map[string]*x509.Certificate{}}
}

func (s *scene) key(name string) ed25519.PrivateKey {
	if s.keys[name] == nil {
		_, s.keys[name], _ = ed25519.GenerateKey(rand.Reader)
	}
	return s.keys[name]
}

// root makes the self-signed name "subject" or "subject/variant".
func (s *scene) root(name string) { s.make(name, name, name, 0) }

// signed makes name, a certificate for its subject's key, signed by another
// subject's key.
func (s *scene) signed(name, by string) { s.make(name, name, by, 0) }

// make adds a certificate whose key is that of the subject in keyOf.
func (s *scene) make(name, keyOf, by string, years int) {
	s.t.Helper()
	subject := func(name string) string { before, _, _ := strings.Cut(name, "/"); return before }
	key, signer := s.key(subject(keyOf)), s.key(subject(by))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(int64(len(s.order) + 1)), Subject: pkix.Name{CommonName: subject(name)},
		NotBefore: start, NotAfter: start.AddDate(10+years, 0, 0), IsCA: true, BasicConstraintsValid: true,
	}
	parent := &x509.Certificate{Subject: pkix.Name{CommonName: subject(by)}}
	if !s.without {
		template.SubjectKeyId, parent.SubjectKeyId = key.Public().(ed25519.PublicKey)[:20], signer.Public().(ed25519.PublicKey)[:20]
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, crypto.PublicKey(key.Public()), signer)
	if err != nil {
		s.t.Fatal(err)
	}
	if s.certs[name], err = x509.ParseCertificate(der); err != nil {
		s.t.Fatal(err)
	}
	s.order = append(s.order, name)
}

// build gives each chain as names with a bar behind the path.
func (s *scene) build(manual map[string][]string) map[string]string {
	var b chain.Builder
	return s.buildWith(&b, manual)
}

func (s *scene) buildWith(b *chain.Builder, manual map[string][]string) map[string]string {
	set := make([]chain.Certificate, len(s.order))
	for i, name := range s.order {
		set[i].Certificate = s.certs[name]
		for _, m := range manual[name] {
			set[i].Manual = append(set[i].Manual, slices.Index(s.order, m))
		}
	}
	chains := map[string]string{}
	for i, c := range b.Build(set) {
		var names []string
		for n, m := range c.Members {
			if n == c.Path {
				names = append(names, "|")
			}
			names = append(names, s.order[m])
		}
		chains[s.order[i]] = strings.Join(names, " ")
	}
	return chains
}

func (s *scene) want(got, want map[string]string) {
	s.t.Helper()
	for name, chain := range want {
		if got[name] != chain {
			s.t.Errorf("%s: %s; want %s", name, got[name], chain)
		}
	}
}

func TestLine(t *testing.T) {
	s := newScene(t)
	s.signed("leafca", "mid") // the order of the set has no meaning for the links
	s.root("root")
	s.signed("mid", "root")
	s.root("stranger")
	s.signed("orphan", "nobody")
	s.want(s.build(nil), map[string]string{
		"leafca": "leafca mid root", "mid": "mid root", "root": "root", "stranger": "stranger", "orphan": "orphan",
	})
}

// TestCrossSigned has an old root's key certified by a new one, and back: a
// cycle below which everything has everything.
func TestCrossSigned(t *testing.T) {
	s := newScene(t)
	s.root("old")
	s.root("old/again")
	s.root("new")
	s.signed("new/by-old", "old")
	s.signed("mid", "new")
	s.want(s.build(nil), map[string]string{
		"old":        "old | old/again",
		"old/again":  "old/again | old",
		"new":        "new | new/by-old old old/again",
		"new/by-old": "new/by-old old | old/again",
		"mid":        "mid new | new/by-old old old/again",
	})
	s.signed("old/by-new", "new")
	s.want(s.build(nil), map[string]string{
		"old":        "old | old/again old/by-new new new/by-old",
		"new/by-old": "new/by-old old | old/again old/by-new new",
		"mid":        "mid new | new/by-old old old/again old/by-new",
	})
}

// TestShortest: of two ways the shorter is the path, of two alike the one that
// is valid longer, and an incomplete one only if there is no other.
func TestShortest(t *testing.T) {
	s := newScene(t)
	s.root("far")
	s.signed("far1", "far")
	s.signed("far2", "far1")
	s.root("near")
	s.signed("x/far", "far2")
	s.signed("x/near", "near")
	s.signed("x/lost", "nobody")
	s.signed("ca", "x")
	s.make("near/longer", "near", "near", 5)
	s.want(s.build(nil), map[string]string{
		"ca":     "ca x/near near/longer | x/far x/lost near far2 far1 far",
		"x/lost": "x/lost",
	})
}

// TestRollover: the new key of a root, certified with the old one, as RFC 4210
// has it, and a name of two keys without key identifiers.
func TestRollover(t *testing.T) {
	for _, without := range []bool{false, true} {
		s := newScene(t)
		s.without = without
		s.root("root")
		s.make("root/new", "key2", "key2", 0)
		// Now a certificate of the name root for key2 that root's first key signed.
		s.make("root/new-with-old", "key2", "root", 0)
		s.make("mid", "mid", "root", 0)
		got := s.build(nil)
		s.want(got, map[string]string{"mid": "mid root", "root": "root", "root/new-with-old": "root/new-with-old root"})
	}
}

// TestLoop: two that have signed each other, and no root.
func TestLoop(t *testing.T) {
	s := newScene(t)
	s.signed("a", "b")
	s.signed("b", "a")
	s.signed("ca", "a")
	s.want(s.build(nil), map[string]string{"a": "a b", "b": "b a", "ca": "ca a b"})
}

func TestManual(t *testing.T) {
	s := newScene(t)
	s.root("old")
	s.root("new")
	s.signed("new/by-old", "old")
	s.signed("mid", "new")
	s.signed("ca", "mid")
	manual := map[string][]string{"mid": {"mid", "new/by-old", "old"}, "new": {"new", "mid"}}
	s.want(s.build(manual), map[string]string{
		"mid": "mid new/by-old old",
		"new": "new | mid",
		"ca":  "ca mid new/by-old old",
	})
	s.want(s.build(nil), map[string]string{"ca": "ca mid new | new/by-old old"})
}

// TestMany: fifty issuers of one key that fifty roots of one name have signed,
// with as many impostors; each certificate costs one check, and a second build
// none.
func TestMany(t *testing.T) {
	for _, without := range []bool{false, true} {
		s := newScene(t)
		s.without = without
		for i := range 50 {
			s.make(fmt.Sprintf("root/%d", i), fmt.Sprintf("key%d", i), fmt.Sprintf("root/%d", i), 0)
		}
		for i := range 50 {
			s.make(fmt.Sprintf("mid/%d", i), "mid", "root", 0)
		}
		s.signed("ca", "mid")
		var b chain.Builder
		got := s.buildWith(&b, nil)
		if n := len(strings.Fields(got["ca"])); n < 51 {
			t.Errorf("the chain has %d members: %s", n, got["ca"])
		}
		again := s.buildWith(&b, nil)
		s.want(again, got)
	}
}

// TestForged: a certificate with the right names that the key did not sign.
func TestForged(t *testing.T) {
	s := newScene(t)
	s.root("root")
	s.signed("mid", "root")
	forged := *s.certs["mid"]
	forged.Raw = slices.Clone(forged.Raw)
	forged.Raw[len(forged.Raw)-1] ^= 1
	cert, err := x509.ParseCertificate(forged.Raw)
	if err != nil {
		t.Fatal(err)
	}
	s.certs["mid"] = cert
	s.want(s.build(nil), map[string]string{"mid": "mid"})
}

// FuzzBuild: whatever is signed by whomever, each chain begins with its own
// certificate, has each once, and its path is signed.
func FuzzBuild(f *testing.F) {
	f.Add([]byte{0x00, 0x01, 0x12, 0x21})
	f.Add([]byte{0x01, 0x10, 0x11, 0x00, 0x01})
	f.Fuzz(func(t *testing.T, edges []byte) {
		s := newScene(t)
		for i, e := range edges[:min(len(edges), 24)] {
			s.signed(fmt.Sprintf("%d/%d", e>>4&3, i), fmt.Sprint(e&3))
		}
		for name, text := range s.build(nil) {
			path, rest, _ := strings.Cut(text, " | ")
			members := strings.Fields(path + " " + rest)
			if members[0] != name {
				t.Errorf("%s: %s", name, text)
			}
			links := strings.Fields(path)
			for n := 1; n < len(links); n++ {
				if err := s.certs[links[n-1]].CheckSignatureFrom(s.certs[links[n]]); err != nil {
					t.Errorf("%s: %v", text, err)
				}
			}
			slices.Sort(members)
			if len(slices.Compact(members)) != len(members) {
				t.Errorf("%s: %s", name, text)
			}
		}
	})
}
