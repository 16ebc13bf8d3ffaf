package bench_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/ocsp"

	"github.com/hsmpki/hsmpki/test/daemon"
)

// ocspCA is a CA whose pkid answers OCSP over TCP, too.
type ocspCA struct {
	p       *daemon.PKID
	watched processes
	address string
	root    *x509.Certificate
	serials [][]byte // of what it has issued
	sources atomic.Uint32
}

// serialLength is that of most serial numbers, in octets.
const serialLength = 20

func startOCSP(b *testing.B) *ocspCA {
	b.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	o := &ocspCA{address: free.Addr().String()}
	free.Close()
	h, p, root := startCA(b, fmt.Sprintf("listener \"tcp\" {\n  address     = %q\n  tls_disable = true\n}\n", o.address))
	o.p, o.watched = p, processes{"pkid": {p.PID()}, "hsmd": append(h.WorkerPIDs(), h.PID())}
	o.root = parse(b, root.String(b, "certificate"))
	for len(o.serials) < 64 {
		leaf := parse(b, p.Must(b, "POST", "pki/issue/web", map[string]any{"common_name": "www.example.com"}).String(b, "certificate"))
		// One in 256 begins with a zero octet, and does not fill its place in the request.
		if serial := leaf.SerialNumber.Bytes(); len(serial) == serialLength {
			o.serials = append(o.serials, serial)
		}
	}
	return o
}

func parse(b *testing.B, text string) *x509.Certificate {
	b.Helper()
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		b.Fatalf("no PEM: %q", text)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		b.Fatal(err)
	}
	return c
}

// asker is a caller that asks about another certificate each time.
type asker struct {
	*caller
	o       *ocspCA
	serial  []byte // in the request
	nonce   []byte // in the request, or empty
	issued  bool
	turn    int
	limited bool // what it asks is allowed to each address so often only
}

// fromOneSource is below what pkid lets one address ask at once of what has to
// be signed for it alone. An asker goes on from another address then.
const fromOneSource = 90

// askers are callers that ask about certificates that were issued, or never,
// with a nonce or without.
func (o *ocspCA) askers(b *testing.B, callers int, nonce, issued bool) []*asker {
	b.Helper()
	serial, fresh := bytes.Repeat([]byte{0x5a}, serialLength), bytes.Repeat([]byte{0x33}, 32)
	query := o.query(b, serial, nil)
	if nonce {
		query = o.query(b, serial, fresh)
	}
	var all []*asker
	for range callers {
		conn, err := o.dial()
		if err != nil {
			b.Fatal(err)
		}
		a := &asker{o: o, issued: issued, limited: nonce || !issued}
		// An OCSPResponse that is successful.
		a.caller = newCaller(b, conn, post("pki/ocsp", "application/ocsp-request", string(query)), "\x0a\x01\x00")
		at := bytes.Index(a.request, serial)
		a.serial = a.request[at : at+len(serial)]
		if nonce {
			at = bytes.Index(a.request, fresh)
			a.nonce = a.request[at : at+len(fresh)]
		}
		all = append(all, a)
	}
	o.judge(b, all[0])
	return all
}

// dial connects from an address of its own.
func (o *ocspCA) dial() (net.Conn, error) {
	n := o.sources.Add(1)
	from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, byte(1+n>>16), byte(n>>8), byte(n))}}
	return from.Dial("tcp", o.address)
}

func (a *asker) ask() error {
	if a.turn++; a.limited && a.turn%fromOneSource == 0 {
		conn, err := a.o.dial()
		if err != nil {
			return err
		}
		a.conn.Close()
		a.conn = conn
		a.in.Reset(conn)
	}
	if a.issued {
		copy(a.serial, a.o.serials[a.turn%len(a.o.serials)])
	} else {
		rand.Read(a.serial)
		a.serial[0] = 0x40 | a.serial[0]&0x3f // positive, without a leading zero
	}
	rand.Read(a.nonce)
	return a.caller.ask()
}

// judge asks once and looks at the answer as a relying party does.
func (o *ocspCA) judge(b *testing.B, a *asker) {
	b.Helper()
	if err := a.ask(); err != nil {
		b.Fatal(err)
	}
	_, body, _ := bytes.Cut(a.request, []byte("\r\n\r\n"))
	resp, err := o.p.HTTP.Post("http://pkid/v1/pki/ocsp", "application/ocsp-request", bytes.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	var der bytes.Buffer
	if _, err := der.ReadFrom(resp.Body); err != nil {
		b.Fatal(err)
	}
	answer, err := ocsp.ParseResponse(der.Bytes(), o.root)
	if err != nil {
		b.Fatalf("%v in %x", err, der.Bytes())
	}
	if want := map[bool]int{true: ocsp.Good, false: ocsp.Unknown}[a.issued]; answer.Status != want || answer.SerialNumber.Cmp(new(big.Int).SetBytes(a.serial)) != 0 {
		b.Fatalf("status %d of %x, want %d of %x", answer.Status, answer.SerialNumber, want, a.serial)
	}
	if !bytes.Contains(der.Bytes(), a.nonce) {
		b.Fatal("the nonce is not in the answer")
	}
}

// query is an OCSPRequest (RFC 6960, section 4.1.1; the nonce: RFC 9654).
func (o *ocspCA) query(b *testing.B, serial, nonce []byte) []byte {
	b.Helper()
	type certID struct {
		Hash   pkix.AlgorithmIdentifier
		Name   []byte
		Key    []byte
		Serial *big.Int
	}
	type single struct{ ID certID }
	type tbs struct {
		List       []single
		Extensions []pkix.Extension `asn1:"explicit,tag:2,optional"`
	}
	var spki struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(o.root.RawSubjectPublicKeyInfo, &spki); err != nil {
		b.Fatal(err)
	}
	name, key := sha1.Sum(o.root.RawSubject), sha1.Sum(spki.Key.Bytes)
	request := struct{ TBS tbs }{tbs{List: []single{{certID{
		pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}, Parameters: asn1.NullRawValue},
		name[:], key[:], new(big.Int).SetBytes(serial),
	}}}}}
	if nonce != nil {
		value, err := asn1.Marshal(nonce)
		if err != nil {
			b.Fatal(err)
		}
		request.TBS.Extensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 2}, Value: value}}
	}
	der, err := asn1.Marshal(request)
	if err != nil {
		b.Fatal(err)
	}
	return der
}
