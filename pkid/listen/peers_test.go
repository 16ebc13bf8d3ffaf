package listen_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/config"
	"github.com/hsmpki/hsmpki/pkid/listen"
	"github.com/hsmpki/hsmpki/wire/unixsock"
)

// TestPeers: who has which policies.
func TestPeers(t *testing.T) {
	root := []string{"root"}
	for _, c := range []struct {
		what   string
		blocks []config.Peer
		peer   unixsock.Peer
		name   string
		want   []string
	}{
		{"no block: root", nil, unixsock.Peer{UID: 0}, "root", root},
		{"no block: somebody", nil, unixsock.Peer{UID: 4711}, "", nil},
		{"no block: somebody in root's group", nil, unixsock.Peer{UID: 4711, Groups: []uint32{0}}, "", nil},
		{"another's block: root", []config.Peer{{Name: "ops", User: "4711", Policies: root}}, unixsock.Peer{UID: 0}, "", nil},
		{"by user", []config.Peer{{Name: "ops", User: "4711", Policies: root}}, unixsock.Peer{UID: 4711}, "ops", root},
		{"by user's name", []config.Peer{{Name: "root", User: "root", Policies: root}}, unixsock.Peer{UID: 0}, "root", root},
		{"by group", []config.Peer{{Name: "ops", Group: "42", Policies: root}}, unixsock.Peer{UID: 4711, Groups: []uint32{7, 42}}, "ops", root},
		{"by user and group: both", []config.Peer{{Name: "ops", User: "4711", Group: "42", Policies: root}}, unixsock.Peer{UID: 4711, GID: 42}, "ops", root},
		{"by user and group: user only", []config.Peer{{Name: "ops", User: "4711", Group: "42", Policies: root}}, unixsock.Peer{UID: 4711}, "", nil},
		{"two blocks", []config.Peer{{Name: "a", User: "4711", Policies: []string{"x", "y"}}, {Name: "b", Group: "42", Policies: []string{"y", "z"}}},
			unixsock.Peer{UID: 4711, Groups: []uint32{42}}, "a", []string{"x", "y", "z"}},
		{"names of policies are in small letters", []config.Peer{{Name: "a", User: "4711", Policies: []string{"Ops", "ops"}}}, unixsock.Peer{UID: 4711}, "a", []string{"ops"}},
	} {
		table, err := listen.NewPeers(c.blocks)
		if err != nil {
			t.Fatal(err)
		}
		if name, policies := table.Lookup(c.peer); name != c.name || !slices.Equal(policies, c.want) {
			t.Errorf("%s: %q %v, want %q %v", c.what, name, policies, c.name, c.want)
		}
	}
	for _, block := range []config.Peer{{Name: "p", User: "no-such-user-x1"}, {Name: "p", Group: "no-such-group-x1"}} {
		if _, err := listen.NewPeers([]config.Peer{block}); err == nil || !strings.Contains(err.Error(), "no-such-") {
			t.Errorf("%v: %v", block, err)
		}
	}
}

// certificate makes a certificate for pkid.test and its key, as PEM files.
func certificate(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"pkid.test"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("tls.crt", "CERTIFICATE", cert), write("tls.key", "PRIVATE KEY", der)
}
