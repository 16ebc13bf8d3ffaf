package test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	vault "github.com/hashicorp/vault/api"

	"github.com/hsmpki/hsmpki/test/daemon"
)

// overTLS is a pkid that serves a CA over TLS as well, to whom policies let.
type overTLS struct {
	*daemon.Pair
	address string // of the TLS listener
	block   string // of it in the configuration, up to its end
	files   *tlsFiles
}

func startTLS(t *testing.T) *overTLS {
	t.Helper()
	p := daemon.Start(t)
	ca(t, p)
	p.PKID.Stop()
	dir := t.TempDir()
	o := &overTLS{Pair: p, address: freePort(t), files: &tlsFiles{filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")}}
	o.files.write(t)
	o.block = fmt.Sprintf("listener \"tcp\" {\n  address       = %q\n  tls_cert_file = %q\n  tls_key_file  = %q\n", o.address, o.files.certificate, o.files.key)
	pkid := daemon.NewPKID(t, p.HSMD, o.block+"}\n")
	pkid.OnStateOf(t, p.PKID)
	pkid.Start()
	p.PKID = pkid
	return o
}

// client is Vault's, with a certificate of its own or none.
func (o *overTLS) client(t *testing.T, own ...tls.Certificate) *vault.Client {
	t.Helper()
	cfg := vault.DefaultConfig()
	if cfg.Error != nil {
		t.Fatal(cfg.Error)
	}
	cfg.Address, cfg.MaxRetries = "https://"+o.address, 0
	transport := cfg.HttpClient.Transport.(*http.Transport)
	transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true, Certificates: own} // the server's is its own
	t.Cleanup(transport.CloseIdleConnections)
	c, err := vault.NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c.ClearToken()
	return c
}

// logIn gives the token of a login that has to succeed, and its client's.
func logIn(t *testing.T, c *vault.Client, path string, credentials map[string]any) string {
	t.Helper()
	s, err := c.Logical().Write(path, credentials)
	if err != nil || s == nil || s.Auth == nil || s.Auth.ClientToken == "" {
		t.Fatalf("%s: %+v, %v", path, s, err)
	}
	c.SetToken(s.Auth.ClientToken)
	return s.Auth.ClientToken
}

// notLetIn wants the one answer that a method has for what is wrong.
func notLetIn(t *testing.T, what string, c *vault.Client, path string, credentials map[string]any, words string) {
	t.Helper()
	_, err := c.Logical().Write(path, credentials)
	if e, is := err.(*vault.ResponseError); !is || e.StatusCode != 400 || len(e.Errors) != 1 || e.Errors[0] != words {
		t.Errorf("%s: %v", what, err)
	}
}

// clientCertificate has the CA issue one, with its key.
func (o *overTLS) clientCertificate(t *testing.T, name, ttl string) tls.Certificate {
	t.Helper()
	a := o.PKID.Must(t, "POST", "pki/issue/web", map[string]any{"common_name": name, "ttl": ttl})
	pair, err := tls.X509KeyPair([]byte(a.String(t, "certificate")), []byte(a.String(t, "private_key")))
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

// TestCertManagerLogsIn makes cert-manager's calls: a login by AppRole or by a
// certificate for each certificate, with which it may sign and nothing else.
func TestCertManagerLogsIn(t *testing.T) {
	o := startTLS(t)
	o.PKID.Must(t, "POST", "sys/policies/acl/issuer", map[string]any{"policy": `path "pki/sign/web" { capabilities = ["create", "update"] }`})
	admin := vaultClient(t, o.PKID)
	for path, kind := range map[string]string{"approle": "approle", "clients/cert": "cert"} {
		if err := admin.Sys().EnableAuthWithOptions(path, &vault.EnableAuthOptions{Type: kind, Config: vault.AuthConfigInput{DefaultLeaseTTL: "5m"}}); err != nil {
			t.Fatal(err)
		}
	}
	if listed, err := admin.Sys().ListAuth(); err != nil || listed["approle/"] == nil || listed["clients/cert/"].Type != "cert" || listed["token/"] == nil {
		t.Errorf("%v, %v", listed, err)
	}
	longest := "10m"
	if err := admin.Sys().TuneMountAllowNil("auth/approle", vault.TuneMountConfigInput{MaxLeaseTTL: &longest}); err != nil {
		t.Error(err)
	}
	o.PKID.Must(t, "POST", "auth/approle/role/cert-manager", map[string]any{"token_policies": "issuer"})
	roleID := o.PKID.Must(t, "GET", "auth/approle/role/cert-manager/role-id", nil).String(t, "role_id")
	secretID := o.PKID.Must(t, "PUT", "auth/approle/role/cert-manager/secret-id", nil).String(t, "secret_id")
	root := o.PKID.Must(t, "GET", "pki/cert/ca", nil).String(t, "certificate")
	o.PKID.Must(t, "POST", "auth/clients/cert/certs/cert-manager", map[string]any{"certificate": root, "allowed_common_names": "cm*.example.com", "token_policies": "issuer"})
	own := o.clientCertificate(t, "cm1.example.com", "1h")

	for path, c := range map[string]*vault.Client{"auth/approle/login": o.client(t), "auth/clients/cert/login": o.client(t, own)} {
		credentials := map[string]any{"role_id": roleID, "secret_id": secretID}
		if strings.Contains(path, "cert") {
			credentials = map[string]any{"name": "cert-manager"}
		}
		logIn(t, c, path, credentials)
		signed, err := c.Logical().Write("pki/sign/web", map[string]any{"common_name": "www.example.com", "csr": request(t, "www.example.com"),
			"ttl": "2h0m0s", "exclude_cn_from_sans": "true"})
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		parse(t, signed.Data["certificate"].(string))
		if _, err := c.Logical().Write("pki/issue/web", map[string]any{"common_name": "www.example.com"}); err == nil || !strings.Contains(err.Error(), "permission denied") {
			t.Errorf("%s: the token issues with a key too: %v", path, err)
		}
		self, err := c.Auth().Token().LookupSelf()
		if err != nil || self.Data["creation_ttl"].(interface{ String() string }).String() != "300" || self.Data["path"] != path {
			t.Errorf("%s: %v, %v", path, self, err)
		}
	}

	if err := admin.Sys().DisableAuth("approle"); err != nil {
		t.Fatal(err)
	}
	if _, err := o.client(t).Logical().Write("auth/approle/login", map[string]any{"role_id": roleID, "secret_id": secretID}); err == nil {
		t.Error("a login by a way that is disabled")
	}
}

// TestClientCertificatesRefused are those that nobody is let in with.
func TestClientCertificatesRefused(t *testing.T) {
	o := startTLS(t)
	o.PKID.Must(t, "POST", "sys/auth/cert", map[string]any{"type": "cert"})
	root := o.PKID.Must(t, "GET", "pki/cert/ca", nil).String(t, "certificate")
	o.PKID.Must(t, "POST", "auth/cert/certs/web", map[string]any{"certificate": root})
	const path, words = "auth/cert/login", "invalid certificate or no client certificate supplied"
	good := o.clientCertificate(t, "good.example.com", "1h")
	c := o.client(t, good)
	logIn(t, c, path, map[string]any{"name": "web"})
	logIn(t, o.client(t, good), path, nil) // the first role that it is for

	notLetIn(t, "no certificate", o.client(t), path, map[string]any{"name": "web"}, words)
	notLetIn(t, "no such role", o.client(t, good), path, map[string]any{"name": "other"}, words)
	notLetIn(t, "its own", o.client(t, selfIssued(t)), path, map[string]any{"name": "web"}, words)
	leaf := good.Leaf
	notLetIn(t, "of a leaf", o.client(t, below(t, leaf, good)), path, map[string]any{"name": "web"}, words)

	stolen := tls.Certificate{Certificate: good.Certificate, PrivateKey: selfIssued(t).PrivateKey}
	_, err := o.client(t, stolen).Logical().Write(path, map[string]any{"name": "web"})
	if _, answered := err.(*vault.ResponseError); answered || err == nil {
		t.Errorf("a certificate whose key is another: %v", err)
	}

	// A renewal asks for the certificate again, and who is revoked is not renewed.
	if _, err := c.Auth().Token().RenewSelf(60); err != nil {
		t.Errorf("renewing: %v", err)
	}
	without := o.client(t)
	without.SetToken(c.Token())
	if _, err := without.Auth().Token().RenewSelf(60); err == nil {
		t.Error("renewed without the certificate")
	}
	o.PKID.Must(t, "POST", "pki/revoke", map[string]any{"serial_number": fmt.Sprintf("%x", leaf.SerialNumber.Bytes())})
	if _, err := c.Auth().Token().RenewSelf(60); err == nil {
		t.Error("renewed although the certificate is revoked")
	}
	notLetIn(t, "revoked", o.client(t, good), path, map[string]any{"name": "web"}, words)

	// From the next connection on the listener itself lets in one CA's alone.
	other := selfIssued(t)
	clients := filepath.Join(t.TempDir(), "clients.crt")
	writeOrFail(t, clients, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: other.Certificate[0]})))
	o.PKID.Write(t, o.block+fmt.Sprintf("  tls_client_ca_file = %q\n}\n", clients))
	if log, taken := o.PKID.Reload(); !taken {
		t.Fatalf("not taken:\n%s", log)
	}
	late := o.clientCertificate(t, "late.example.com", "1h")
	insisting := o.client(t) // with a certificate that the server does not ask for
	insisting.CloneConfig().HttpClient.Transport.(*http.Transport).TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return &late, nil
	}
	_, err = insisting.Logical().Write(path, nil)
	if _, answered := err.(*vault.ResponseError); answered || err == nil {
		t.Errorf("of a CA that is not in tls_client_ca_file: %v", err)
	}
	notLetIn(t, "none, which still is let in", o.client(t), path, nil, words)
	writeOrFail(t, clients, "nothing\n")
	if log, taken := o.PKID.Reload(); taken || !strings.Contains(log, "has no certificate in PEM") {
		t.Errorf("a file without a certificate is taken:\n%s", log)
	}
}

// selfIssued is a certificate for clients that certifies itself.
func selfIssued(t *testing.T) tls.Certificate {
	t.Helper()
	return below(t, nil, tls.Certificate{})
}

// below is one that the holder of another has made with its key, be he a CA or
// not.
func below(t *testing.T, issuer *x509.Certificate, by tls.Certificate) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: serial(t), Subject: pkix.Name{CommonName: "good.example.com"}, NotBefore: time.Now().Add(-time.Minute),
		NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	signer := by.PrivateKey
	if issuer == nil {
		issuer, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: append([][]byte{der}, by.Certificate...), PrivateKey: key}
}
