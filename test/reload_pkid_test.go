package test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/test/daemon"
)

// tlsFiles are the files of a TLS listener's certificate and key.
type tlsFiles struct{ certificate, key string }

// write makes a new certificate and gives it.
func (f *tlsFiles) write(t *testing.T) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: serial(t), Subject: pkix.Name{CommonName: "pkid"}, NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writeOrFail(t, f.certificate, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	writeOrFail(t, f.key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// shown is the certificate that a TLS listener shows.
func shown(t *testing.T, address string) *x509.Certificate {
	t.Helper()
	conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true}) // the certificate itself is compared
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0]
}

// TestReloadPKID changes all of pkid's configuration that a reload takes, while
// requests are under way on connections that stay.
func TestReloadPKID(t *testing.T) {
	p := daemon.Start(t)
	ca(t, p)
	p.PKID.Stop()
	address := freePort(t)
	dir := t.TempDir()
	files := &tlsFiles{filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")}
	listener := fmt.Sprintf("listener \"tcp\" {\n  address       = %q\n  tls_cert_file = %q\n  tls_key_file  = %q\n}\n", address, files.certificate, files.key)
	blocked := filepath.Join(dir, "blocked")
	first := files.write(t)
	pkid := daemon.NewPKID(t, p.HSMD, listener)
	pkid.OnStateOf(t, p.PKID)
	pkid.Start()
	p.PKID = pkid
	says(t, pkid.Log(), `"rule added","rule":"peers","is":"no peer block: root and pkid's own user have the root policy"`,
		fmt.Sprintf(`"rule added","rule":"listener \"%s\"","is":"open, shows the certificate of \"CN=pkid\" until `, address),
		fmt.Sprintf("SHA-256 %x", sha256.Sum256(first.Raw)))

	issuing := startLoad(t, pkid, 2)
	strangers := startStrangers(t, "https://"+address+"/v1/pki/ca")
	for range 10 {
		second := files.write(t)
		writeOrFail(t, blocked, strings.Repeat("0", 64)+"\n")
		pkid.Level = "info"
		self := fmt.Sprintf("peer \"tester\" {\n  user     = %d\n  policies = [\"root\"]\n}\n", os.Getuid())
		pkid.Write(t, listener+self+fmt.Sprintf("api_addr = \"https://ca.example.com:8200\"\nblocked_keys = [%q]\n", blocked))
		log, taken := pkid.Reload()
		if !taken {
			t.Fatalf("not taken:\n%s", log)
		}
		says(t, log, `"rule changed","rule":"log_level","was":"debug","is":"info"`,
			`"rule added","rule":"api_addr","is":"https://ca.example.com:8200"`,
			`"rule removed","rule":"peers"`, `"rule added","rule":"peer \"tester\"","is":"user `,
			`"rule added","rule":"blocked_keys","is":"1 keys and 0 RSA moduli, of `+blocked,
			fmt.Sprintf("SHA-256 %x", sha256.Sum256(second.Raw)))
		if !shown(t, address).Equal(second) {
			t.Error("the listener shows the certificate from before")
		}
		if a := pkid.Must(t, "GET", "sys/leader", nil); !strings.Contains(string(a.Body), "https://ca.example.com:8200") {
			t.Errorf("sys/leader: %s", a.Body)
		}
		issuing.waitFor(t, 5)
		pkid.Level = ""
		pkid.Write(t, listener)
		if log, taken := pkid.Reload(); !taken {
			t.Fatalf("not taken:\n%s", log)
		}
	}
	strangers.finish(t)
	issuing.finish(t, p)
	if len(issuing.refused) > 0 {
		t.Errorf("pkid refused %d requests, the first: %s", len(issuing.refused), issuing.refused[0])
	}
}

// strangers ask over TLS without a pause, on connections that stay.
type strangers struct {
	stop   chan struct{}
	done   sync.WaitGroup
	failed error // the first
}

func startStrangers(t *testing.T, url string) *strangers {
	t.Helper()
	s := &strangers{stop: make(chan struct{})}
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	t.Cleanup(transport.CloseIdleConnections)
	s.done.Go(func() {
		for s.failed == nil {
			select {
			case <-s.stop:
				return
			default:
			}
			resp, err := (&http.Client{Transport: transport, Timeout: time.Minute}).Get(url)
			if err != nil {
				s.failed = err
				return
			}
			resp.Body.Close()
			if resp.StatusCode != 200 {
				s.failed = fmt.Errorf("%s", resp.Status)
			}
		}
	})
	return s
}

func (s *strangers) finish(t *testing.T) {
	t.Helper()
	close(s.stop)
	s.done.Wait()
	if s.failed != nil {
		t.Errorf("a stranger was told: %v", s.failed)
	}
}

// TestReloadPKIDFaults: what is at fault changes nothing, and each fault has its
// place in the log.
func TestReloadPKIDFaults(t *testing.T) {
	p := daemon.Start(t)
	p.PKID.Stop()
	address := freePort(t)
	dir := t.TempDir()
	files := &tlsFiles{filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")}
	listener := fmt.Sprintf("listener \"tcp\" {\n  address       = %q\n  tls_cert_file = %q\n  tls_key_file  = %q\n}\n", address, files.certificate, files.key)
	first := files.write(t)
	blocked := filepath.Join(dir, "blocked")
	writeOrFail(t, blocked, "")
	sound := listener + fmt.Sprintf("blocked_keys = [%q]\n", blocked)
	pkid := daemon.NewPKID(t, p.HSMD, sound)
	pkid.Start()

	nobody := "peer \"x\" {\n  user     = 4711\n  policies = [\"root\"]\n}\n" // would shut the test out
	check := func(what, blocks string, words ...string) {
		t.Helper()
		pkid.Write(t, blocks)
		log, taken := pkid.Reload()
		if taken || strings.Contains(log, `"msg":"rule `) {
			t.Errorf("%s: taken:\n%s", what, log)
		}
		says(t, log, append(words, "pkid.hcl:")...)
		pkid.Must(t, "GET", "sys/mounts", nil)
		if !shown(t, address).Equal(first) {
			t.Errorf("%s: the listener shows another certificate", what)
		}
	}
	files.write(t)
	check("no HCL", sound+nobody+"listener {", "pkid.hcl:")
	check("no such user", sound+strings.Replace(nobody, "4711", `"no-such-user"`, 1), "no-such-user")
	writeOrFail(t, blocked, "zz\n")
	check("a blocked key", sound+nobody, "blocked:1: ")
	writeOrFail(t, blocked, "")
	writeOrFail(t, files.key, "no key\n")
	check("a TLS key", sound+nobody, "TLS certificate")
	second := files.write(t)

	pkid.Write(t, sound+nobody)
	if log, taken := pkid.Reload(); !taken {
		t.Fatalf("without a fault:\n%s", log)
	}
	if !shown(t, address).Equal(second) {
		t.Error("the listener shows the certificate from before")
	}
	pkid.Refused(t, "GET", "sys/mounts", nil, 403, "permission denied")

	text, err := os.ReadFile(pkid.Config)
	if err != nil {
		t.Fatal(err)
	}
	writeOrFail(t, pkid.Config, strings.NewReplacer(pkid.State, pkid.State+"2", p.HSMD.Socket, p.HSMD.Socket+"2", pkid.Socket, pkid.Socket+"2").Replace(string(text)))
	log, taken := pkid.Reload()
	if !taken {
		t.Fatalf("not taken:\n%s", log)
	}
	says(t, log, "storage is still \\\"pebble\\\" at "+pkid.State, "hsmd is still the one at "+p.HSMD.Socket,
		"listener "+pkid.Socket+"2: it is not open", "listener "+pkid.Socket+": it is still open", "pkid has to be restarted to take a change")
}
