package jwt

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	fetchTimeout = 10 * time.Second // of a whole fetch, however slowly it drips
	maxDocument  = 1 << 20
)

// newFetchedKeys fetches from a URL of keys, or from what an issuer says of
// itself (OpenID Connect Discovery 1.0). rootPEM, if it is not "", is trusted in
// place of the system's certificates.
func newFetchedKeys(keysURL, issuer, rootPEM string, log *slog.Logger, now func() time.Time) (keySource, error) {
	trust := &tls.Config{MinVersion: tls.VersionTLS12}
	if rootPEM != "" {
		trust.RootCAs = x509.NewCertPool()
		if !trust.RootCAs.AppendCertsFromPEM([]byte(rootPEM)) {
			return nil, errors.New("ca_pem: there is no PEM certificate in it")
		}
	}
	client := &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: trust, DisableKeepAlives: true, MaxResponseHeaderBytes: 64 << 10,
		},
		// Whoever answers for the URL shall not send us to addresses that only
		// we can reach.
		CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("redirects are not followed") },
	}
	f := &fetchedKeys{log: log, now: now}
	f.fetch = func(ctx context.Context) ([]jose.JSONWebKey, error) {
		from := keysURL
		if issuer != "" {
			var err error
			if from, err = discover(ctx, client, issuer); err != nil {
				return nil, err
			}
		}
		raw, err := get(ctx, client, from)
		if err != nil {
			return nil, err
		}
		keys, err := parseKeySet(raw)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", from, err)
		}
		return keys, nil
	}
	return f, nil
}

// discover asks an issuer where its keys are.
func discover(ctx context.Context, client *http.Client, issuer string) (string, error) {
	at := issuer + "/.well-known/openid-configuration"
	raw, err := get(ctx, client, at)
	if err != nil {
		return "", err
	}
	var says struct {
		Issuer  string `json:"issuer"`
		JWKSURI string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(raw, &says); err != nil {
		return "", fmt.Errorf("%s: it is no JSON object", at)
	}
	if strings.TrimRight(says.Issuer, "/") != issuer {
		return "", fmt.Errorf("%s: it is about the issuer %q", at, shorten(says.Issuer))
	}
	if err := checkURL(says.JWKSURI); err != nil {
		return "", fmt.Errorf("%s: jwks_uri: %w", at, err)
	}
	if strings.HasPrefix(issuer, "https:") && !strings.HasPrefix(says.JWKSURI, "https:") {
		return "", fmt.Errorf("%s: jwks_uri: it leaves https", at)
	}
	return says.JWKSURI, nil
}

func get(ctx context.Context, client *http.Client, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: HTTP %d", url, resp.StatusCode)
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", url, err)
	case len(raw) > maxDocument:
		return nil, fmt.Errorf("%s: longer than %d octets", url, maxDocument)
	}
	return raw, nil
}
