package client_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/pkid/client"
)

func TestAddressAndToken(t *testing.T) {
	home := t.TempDir()
	write := func(name, token string) {
		if err := os.WriteFile(filepath.Join(home, name), []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(".vault-token", "vaults")
	for _, c := range []struct {
		name, address, env string
		ours               bool
		wantAddress, token string
	}{
		{name: "default", wantAddress: client.DefaultAddress},
		{name: "PKID before VAULT", env: "PKID_ADDR=https://a:1 VAULT_ADDR=https://b:1 PKID_TOKEN=p VAULT_TOKEN=v", wantAddress: "https://a:1", token: "p"},
		{name: "VAULT", env: "VAULT_ADDR=https://b:1 VAULT_TOKEN=v", wantAddress: "https://b:1", token: "v"},
		{name: "empty is not set", env: "PKID_ADDR= VAULT_ADDR=https://b:1 PKID_TOKEN= VAULT_TOKEN=v", wantAddress: "https://b:1", token: "v"},
		{name: "flag first", address: "https://c:1", env: "PKID_ADDR=https://a:1", wantAddress: "https://c:1", token: "vaults"},
		{name: "Vault's file never over a socket", env: "PKID_ADDR=unix:///x", wantAddress: "unix:///x"},
		{name: "our file over a socket", env: "PKID_ADDR=unix:///x", ours: true, wantAddress: "unix:///x", token: "ours"},
		{name: "our file before Vault's", env: "PKID_ADDR=https://a:1", ours: true, wantAddress: "https://a:1", token: "ours"},
	} {
		t.Run(c.name, func(t *testing.T) {
			os.Remove(filepath.Join(home, ".pkid-token"))
			if c.ours {
				write(".pkid-token", "ours")
			}
			env := map[string]string{}
			for _, pair := range strings.Fields(c.env) {
				k, v, _ := strings.Cut(pair, "=")
				env[k] = v
			}
			cfg, err := client.FromEnvironment(c.address, func(k string) string { return env[k] }, home)
			if err != nil || cfg.Address != c.wantAddress || cfg.Token != c.token {
				t.Errorf("address %q, token %q, error %v; want %q, %q", cfg.Address, cfg.Token, err, c.wantAddress, c.token)
			}
		})
	}
}

func TestBadEnvironmentIsNamed(t *testing.T) {
	for name, value := range map[string]string{
		"VAULT_SKIP_VERIFY": "perhaps", "VAULT_MAX_RETRIES": "-1", "VAULT_CLIENT_TIMEOUT": "soon",
	} {
		_, err := client.FromEnvironment("", func(k string) string {
			if k == name {
				return value
			}
			return ""
		}, "")
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s=%s: %v", name, value, err)
		}
	}
}

func TestBadTLSFiles(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for want, tls := range map[string]client.TLSConfig{
		"no PEM certificate":  {CACert: empty},
		"no such file":        {CACert: "/does/not/exist"},
		"given together":      {ClientCert: empty},
		"client certificate:": {ClientCert: empty, ClientKey: empty},
	} {
		if _, err := client.New(client.Config{Address: "https://127.0.0.1:1", TLS: tls}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q in it", tls, err, want)
		}
	}
}
