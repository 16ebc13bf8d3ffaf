package client

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// DefaultAddress is where pkid listens unless it is told otherwise.
const DefaultAddress = "unix:///run/pkid/pkid.sock"

// Config says where pkid is and who is asking.
type Config struct {
	Address    string // unix:///path, https://host:port or http://loopback:port
	Token      string // empty: none is sent
	Namespace  string
	WrapTTL    string // how long answers are to be kept for another reader; empty: they are not
	TLS        TLSConfig
	Timeout    time.Duration // of one attempt; 0: none
	MaxRetries int
}

// TLSConfig has the files and names of a TLS connection, as in Vault's
// environment.
type TLSConfig struct {
	CACert     string // a file of PEM certificates to trust instead of the system's
	CAPath     string // a folder of such files
	ClientCert string
	ClientKey  string
	ServerName string
	SkipVerify bool
}

// FromEnvironment reads PKID_*, then VAULT_* variables (an empty one counts as
// not set), and the token files in home. address, where it is not empty, goes
// before the environment.
//
// A token from ~/.vault-token is Vault's and is never sent over a Unix socket,
// where the peer is known without one.
func FromEnvironment(address string, getenv func(string) string, home string) (Config, error) {
	first := func(names ...string) string {
		for _, name := range names {
			if v := getenv(name); v != "" {
				return v
			}
		}
		return ""
	}
	cfg := Config{
		Address:    address,
		Token:      first("PKID_TOKEN", "VAULT_TOKEN"),
		Namespace:  first("PKID_NAMESPACE", "VAULT_NAMESPACE"),
		Timeout:    60 * time.Second,
		MaxRetries: 2,
		TLS: TLSConfig{
			CACert:     first("PKID_CACERT", "VAULT_CACERT"),
			CAPath:     first("PKID_CAPATH", "VAULT_CAPATH"),
			ClientCert: first("PKID_CLIENT_CERT", "VAULT_CLIENT_CERT"),
			ClientKey:  first("PKID_CLIENT_KEY", "VAULT_CLIENT_KEY"),
			ServerName: first("PKID_TLS_SERVER_NAME", "VAULT_TLS_SERVER_NAME"),
		},
	}
	if cfg.Address == "" {
		cfg.Address = first("PKID_ADDR", "VAULT_ADDR")
	}
	if cfg.Address == "" {
		cfg.Address = DefaultAddress
	}
	var err error
	if v := first("PKID_SKIP_VERIFY", "VAULT_SKIP_VERIFY"); v != "" {
		if cfg.TLS.SkipVerify, err = strconv.ParseBool(v); err != nil {
			return Config{}, fmt.Errorf("VAULT_SKIP_VERIFY is %q, which is not a boolean", v)
		}
	}
	if v := first("PKID_MAX_RETRIES", "VAULT_MAX_RETRIES"); v != "" {
		if cfg.MaxRetries, err = strconv.Atoi(v); err != nil || cfg.MaxRetries < 0 {
			return Config{}, fmt.Errorf("VAULT_MAX_RETRIES is %q, which is not a number of retries", v)
		}
	}
	if v := first("PKID_CLIENT_TIMEOUT", "VAULT_CLIENT_TIMEOUT"); v != "" {
		if cfg.Timeout, err = parseTimeout(v); err != nil {
			return Config{}, fmt.Errorf("VAULT_CLIENT_TIMEOUT is %q, which is neither seconds nor a duration", v)
		}
	}
	if cfg.Token == "" && home != "" {
		cfg.Token, err = tokenFromFiles(home, strings.HasPrefix(cfg.Address, "unix://"))
	}
	return cfg, err
}

func parseTimeout(v string) (time.Duration, error) {
	if seconds, err := strconv.Atoi(v); err == nil {
		return time.Duration(seconds) * time.Second, nil
	}
	return time.ParseDuration(v)
}

func (c TLSConfig) config() (*tls.Config, error) {
	cfg := &tls.Config{ServerName: c.ServerName, InsecureSkipVerify: c.SkipVerify, MinVersion: tls.VersionTLS12}
	if (c.ClientCert == "") != (c.ClientKey == "") {
		return nil, errors.New("a client certificate and its key must be given together")
	}
	if c.ClientCert != "" {
		pair, err := tls.LoadX509KeyPair(c.ClientCert, c.ClientKey)
		if err != nil {
			return nil, fmt.Errorf("client certificate: %w", err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	files := []string{}
	if c.CACert != "" {
		files = append(files, c.CACert)
	} else if c.CAPath != "" {
		entries, err := os.ReadDir(c.CAPath)
		if err != nil {
			return nil, fmt.Errorf("CA certificates: %w", err)
		}
		for _, e := range entries {
			if !e.IsDir() {
				files = append(files, filepath.Join(c.CAPath, e.Name()))
			}
		}
	}
	if len(files) == 0 {
		return cfg, nil
	}
	cfg.RootCAs = x509.NewCertPool()
	found := false
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("CA certificates: %w", err)
		}
		found = cfg.RootCAs.AppendCertsFromPEM(b) || found
	}
	if !found {
		return nil, fmt.Errorf("no PEM certificate in %s%s", c.CACert, c.CAPath)
	}
	return cfg, nil
}
