package server_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/config"
	"github.com/hsmpki/hsmpki/hsmd/constraint"
	"github.com/hsmpki/hsmpki/hsmd/grant"
	"github.com/hsmpki/hsmpki/hsmd/managedkey"
	"github.com/hsmpki/hsmpki/hsmd/pkcs11"
	"github.com/hsmpki/hsmpki/hsmd/server"
	"github.com/hsmpki/hsmpki/test/secret"
	"github.com/hsmpki/hsmpki/test/softhsm"
	"github.com/hsmpki/hsmpki/wire"
)

// remote is a key in hsmd as crypto/x509 uses it: it is given the message.
type remote struct {
	client *wire.Client
	name   string
	scheme wire.SignatureScheme
	spki   []byte
	public crypto.PublicKey
}

func (r *remote) Public() crypto.PublicKey { return r.public }

func (r *remote) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, fmt.Errorf("hsmd is not given digests")
}

func (r *remote) SignMessage(_ io.Reader, message []byte, _ crypto.SignerOpts) ([]byte, error) {
	id := sha256.Sum256(r.spki)
	req := &wire.SignRequest{Key: r.name, SPKI: id[:], Scheme: r.scheme, Message: message}
	if len(message) > 20_000 {
		req.Message, req.Parts = nil, bytes.NewReader(message)
	}
	answer, err := r.client.Sign(ctx, req)
	if err != nil {
		return nil, err
	}
	return answer.Signature, nil
}

// TestRealToken has SoftHSM behind the server and a socket before it: internal
// keys of each kind sign a root and a CRL that crypto/x509 verifies.
func TestRealToken(t *testing.T) {
	token := softhsm.New(t)
	t.Setenv("SOFTHSM2_CONF", token.Conf)
	cfg, err := config.ParseHSMD("hsmd.hcl", fmt.Appendf(nil, `
kms_library "pkcs11" {
  name    = "softhsm"
  library = %q
}
wire_keys { libraries = ["softhsm"] }
internal_keys {
  library     = "softhsm"
  token_label = %q
  pin         = %q
}
`, token.Library, token.Label, token.PIN))
	if err != nil {
		t.Fatal(err)
	}
	client, _, _ := serveLibrary(t, cfg)

	for i, c := range []struct {
		keyType   wire.KeyType
		scheme    wire.SignatureScheme
		algorithm x509.SignatureAlgorithm
	}{
		{wire.KeyP256, wire.ECDSAP256SHA256, x509.ECDSAWithSHA256},
		{wire.KeyP384, wire.ECDSAP384SHA384, x509.ECDSAWithSHA384},
		{wire.KeyP521, wire.ECDSAP521SHA512, x509.ECDSAWithSHA512},
		{wire.KeyEd25519, wire.Ed25519, x509.PureEd25519},
		{wire.KeyRSA2048, wire.RSAPKCS1SHA256, x509.SHA256WithRSA},
	} {
		made := must[*wire.GenerateResponse](t)(client.Generate(ctx, &wire.GenerateRequest{ID: fmt.Sprint("k", i), Type: c.keyType}))
		public := must[any](t)(x509.ParsePKIXPublicKey(made.Key.PublicKey))
		signer := &remote{client, made.Key.Definition.Name, c.scheme, made.Key.PublicKey, public}
		template := &x509.Certificate{SerialNumber: big.NewInt(77), Subject: pkix.Name{CommonName: "Root " + string(c.keyType)}, SignatureAlgorithm: c.algorithm,
			NotBefore: time.Now(), NotAfter: time.Now().AddDate(10, 0, 0), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign}
		root := must[*x509.Certificate](t)(x509.ParseCertificate(must[[]byte](t)(x509.CreateCertificate(rand.Reader, template, template, public, signer))))
		if err := root.CheckSignatureFrom(root); err != nil {
			t.Errorf("%s: %v", c.keyType, err)
		}
		list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now(), NextUpdate: time.Now().Add(72 * time.Hour), SignatureAlgorithm: c.algorithm}
		for n := range 2000 {
			list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: big.NewInt(int64(n + 1)), RevocationTime: time.Now(), ReasonCode: 4})
		}
		crl := must[*x509.RevocationList](t)(x509.ParseRevocationList(must[[]byte](t)(x509.CreateRevocationList(rand.Reader, list, root, signer))))
		if err := crl.CheckSignatureFrom(root); err != nil {
			t.Errorf("%s: CRL: %v", c.keyType, err)
		}
	}
	parallel(t, client)
}

// serveLibrary is hsmd with the configuration's library in this process, and a
// client at its socket.
func serveLibrary(t *testing.T, cfg *config.HSMD) (*wire.Client, *secret.Log, *server.Server) {
	t.Helper()
	log := secret.NewLog(t, "hsmd")
	logger := slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	store := must[*managedkey.Store](t)(managedkey.Open(managedkey.Config{Dir: t.TempDir(), Key: "0123456789abcdef", Log: logger}))
	t.Cleanup(func() { store.Close() })
	library := pkcs11.New(logger)
	t.Cleanup(func() { library.Close(true) })
	built := must[*managedkey.Built](t)(managedkey.Build(cfg, managedkey.Sources{Backend: func(*config.Library) wire.Service { return library }}))
	table, err := grant.NewTable([]config.Client{{Name: "me", User: uid(), Keys: []string{"*"}, Capabilities: []config.Capability{config.CapGenerate, config.CapSign, config.CapTest}}}, own)
	if err != nil {
		t.Fatal(err)
	}
	audit := openLog(t, t.TempDir(), logger, time.Now)
	memory := openMemory(t, t.TempDir(), logger, audit, &constraint.Limiter{})
	srv, err := server.New(server.Config{State: &server.State{Grants: table, Built: *built}, Store: store, Audit: audit, Ledger: memory, Limiter: &constraint.Limiter{}, Version: "test", Log: logger, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	client := must[*wire.Client](t)(wire.NewClient(dialRaw(t, listen(t, srv, filepath.Join(t.TempDir(), "s"))), wire.ClientConfig{}))
	t.Cleanup(func() { client.Close() })
	return client, log, srv
}

// parallel asks for test signatures from eight callers at once.
func parallel(t *testing.T, client *wire.Client) {
	t.Helper()
	var running sync.WaitGroup
	for range 8 {
		running.Go(func() {
			for range 25 {
				if _, err := client.Test(ctx, &wire.TestRequest{Key: "internal-k0"}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	running.Wait()
}
