package test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hsmpki/hsmpki/test/daemon"
	"github.com/hsmpki/hsmpki/test/softhsm"
	"github.com/hsmpki/hsmpki/wire"
)

// bigCertificate is the to-be-signed part of a certificate of 40 KiB.
func bigCertificate(t *testing.T, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	template := &x509.Certificate{SerialNumber: serial(t), Subject: pkix.Name{CommonName: "big"}, NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour),
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}, Value: make([]byte, 40<<10)}}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert.RawTBSCertificate
}

// smallList is the to-be-signed part of a CRL.
func smallList(t *testing.T, key *ecdsa.PrivateKey, number int64) []byte {
	t.Helper()
	issuer := &x509.Certificate{Subject: pkix.Name{CommonName: "R"}, SubjectKeyId: []byte{1}, KeyUsage: x509.KeyUsageCRLSign, IsCA: true}
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{Number: big.NewInt(number), ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour)}, issuer, key)
	if err != nil {
		t.Fatal(err)
	}
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		t.Fatal(err)
	}
	return list.RawTBSRevocationList
}

// fullDiskAudit: hsmd's log of signatures is on the disk that is full. Nothing is
// signed that cannot be recorded, and CRLs are, from what is kept back for them;
// a restart changes nothing of it, and when there is space, all goes on.
func fullDiskAudit(t *testing.T) {
	disk := mountDisk(t, "64m")
	token := softhsm.New(t)
	h := daemon.NewHSMD(t, daemon.Libraries(token.Store)+daemon.WireKeys+fmt.Sprintf("audit_log = %q\n", filepath.Join(disk.path, "log", "audit.log")))
	h.Start()
	s := newSigner(t, &daemon.Pair{Token: token, HSMD: h})
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sign := func(message []byte) error { return s.ask(func(r *wire.SignRequest) { r.Message = message }) }
	refused := func() {
		t.Helper()
		err := sign(bigCertificate(t, key))
		e, ok := errors.AsType[*wire.Error](err)
		if !ok || e.Code != wire.Unavailable || e.RetryAfter == 0 || !strings.Contains(e.Message, "the disk of the log of signatures is full") {
			t.Fatalf("signed on a full disk: %v", err)
		}
	}
	var number int64
	list := func() {
		t.Helper()
		number++
		if err := sign(smallList(t, key, number)); err != nil {
			t.Fatalf("a CRL on a full disk: %v", err)
		}
	}

	disk.fill(t, 0)
	// What is allocated already is used up first.
	signed := 0
	for ; signed < 1000; signed++ {
		if err = sign(bigCertificate(t, key)); err != nil {
			break
		}
	}
	if signed == 0 || signed == 1000 {
		t.Fatalf("%d certificates were signed on a full disk, of 40 KiB each", signed)
	}
	for range 20 {
		refused()
		list()
	}
	verifyAudit(t, h)

	h.Kill9()
	h.Start()
	s.Client = wireClient(t, h.Socket)
	refused()
	list()
	verifyAudit(t, h)

	disk.empty(t)
	if err := sign(bigCertificate(t, key)); err != nil {
		t.Errorf("there is space again: %v", err)
	}
	// What hsmd says may come after its answer.
	eventually(t, "hsmd says once a start that the disk is full, and that it is not any more", func() bool {
		log := h.Log()
		return strings.Count(log, "the disk of the log of signatures is full: nothing is signed but CRLs") == 2 && strings.Contains(log, "has room again")
	})
	h.Stop()
	if out := verifyAudit(t, h); !strings.Contains(out, fmt.Sprintf("  certificate: %d\n", signed+1)) || !strings.Contains(out, "  crl: 21\n") {
		t.Errorf("%d certificates and 21 CRLs were signed:\n%s", signed+1, out)
	}
}

// mountDisk mounts a small file system for the test.
func mountDisk(t *testing.T, size string) *smallDisk {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size+",mode=0700"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return &smallDisk{dir, filepath.Join(dir, "ballast")}
}
