package auditlog_test

import (
	"context"
	"crypto/sha256"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"log/slog"
	"path/filepath"

	"github.com/hsmpki/hsmpki/hsmd/auditlog"
)

// BenchmarkCertificate is what a certificate's two lines cost, in CPU time of all
// threads, with 16 callers who share their syncs.
func BenchmarkCertificate(b *testing.B) {
	dir := b.TempDir()
	l, err := auditlog.Open(auditlog.Config{Path: filepath.Join(dir, "audit.log"), Checkpoints: filepath.Join(dir, "checkpoint"), Seed: make([]byte, 32),
		Log: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	tbs := make([]byte, 700)
	sum := sha256.Sum256(tbs)
	b.SetParallelism(8)
	before := cpu(b)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			p, err := l.Append(&auditlog.Entry{Kind: auditlog.Certificate, Key: "issuing-2026", SPKI: sum, Scheme: "ecdsa_secp256r1_sha256",
				Serial: "3a:5f:00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff:00:11", Issuer: "CN=Example Issuing CA,O=Example", Subject: "CN=www.example.com",
				Names: []string{"dns:www.example.com", "dns:example.com"}, NotBefore: time.Now(), NotAfter: time.Now(), Size: 700, SHA256: sum, TBS: tbs,
				Peer: &auditlog.Peer{UID: 1, GID: 1, PID: 1, Client: []string{"pkid"}}, Context: "pki/ 0123456789abcdef"}, false)
			if err == nil {
				err = p.Wait(context.Background())
			}
			if err == nil {
				err = l.Outcome(p, &auditlog.Entry{Kind: auditlog.Signed, Signature: tbs[:71]})
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	})
	b.StopTimer()
	b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N), "cpu-µs/op")
}

func cpu(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
