package ca

import (
	"context"
	"net/url"
	"slices"

	"github.com/hsmpki/hsmpki/pkid/issuance"
	"github.com/hsmpki/hsmpki/pkid/store"
)

// URLs are a mount's config/urls, or an issuer's own.
type URLs struct {
	IssuingCertificates        []string `json:"issuing_certificates"`
	CRLDistributionPoints      []string `json:"crl_distribution_points"`
	DeltaCRLDistributionPoints []string `json:"delta_crl_distribution_points"`
	OCSPServers                []string `json:"ocsp_servers"`
	// EnableTemplating has what stands in double braces replaced; see
	// template.go.
	EnableTemplating bool `json:"enable_templating"`
}

// URLChange changes those that are not nil.
type URLChange struct {
	IssuingCertificates, CRLDistributionPoints, DeltaCRLDistributionPoints, OCSPServers *[]string
	EnableTemplating                                                                    *bool
}

// URLs gives the mount's URLs.
func (a *Authority) URLs() URLs { return a.view.Load().settings.URLs.clone() }

// SetURLs changes the URLs that certificates issued from now on carry, unless
// their issuer has its own. The warnings tell what a template lacks.
func (a *Authority) SetURLs(ctx context.Context, c URLChange) (now URLs, warnings []string, err error) {
	err = a.change(ctx, func(v *view, tx store.Tx) error {
		if now, err = v.settings.URLs.with(c); err != nil {
			return err
		}
		v.settings.URLs = now
		return v.putSettings(tx, a.space)
	})
	if err != nil {
		return URLs{}, nil, err
	}
	return now.clone(), a.view.Load().settings.lacking(now), nil
}

// with is u after a change, checked.
func (u URLs) with(c URLChange) (URLs, error) {
	u = u.clone()
	if c.EnableTemplating != nil {
		u.EnableTemplating = *c.EnableTemplating
	}
	for _, field := range []struct {
		name string
		from *[]string
		to   *[]string
	}{
		{"issuing_certificates", c.IssuingCertificates, &u.IssuingCertificates},
		{"crl_distribution_points", c.CRLDistributionPoints, &u.CRLDistributionPoints},
		{"delta_crl_distribution_points", c.DeltaCRLDistributionPoints, &u.DeltaCRLDistributionPoints},
		{"ocsp_servers", c.OCSPServers, &u.OCSPServers},
	} {
		if field.from != nil {
			*field.to = slices.Clone(*field.from)
		}
		if err := u.check(field.name, *field.to); err != nil {
			return u, err
		}
	}
	return u.clone(), nil
}

// maxURLs and maxURL bound one list and one entry of it: all of them end in each
// certificate.
const (
	maxURLs = 20
	maxURL  = 2048
)

func (u URLs) check(name string, urls []string) error {
	if len(urls) > maxURLs {
		return refuse("%s has %d URLs, where %d are possible", name, len(urls), maxURLs)
	}
	for _, text := range urls {
		filled := text
		if u.EnableTemplating {
			var err error
			if filled, err = fill(text, exampleValues); err != nil {
				return refuse("%s: %v", name, err)
			}
		}
		if !isURL(filled) {
			return refuse("invalid URL found in Authority Information Access (AIA) parameter %s: %.200s", name, text)
		}
	}
	return nil
}

// isURL reports whether a certificate can carry the text as a URL: absolute, with
// a host (RFC 5280, section 4.2.1.6), of ASCII without braces, which no URL has
// and a template that is not switched on.
func isURL(text string) bool {
	for _, r := range text {
		if r <= ' ' || r >= 0x7f || r == '{' || r == '}' {
			return false
		}
	}
	u, err := url.Parse(text)
	return err == nil && u.Scheme != "" && u.Host != "" && len(text) <= maxURL
}

// clone is a deep copy without nil lists: the API answers [] and not null.
func (u URLs) clone() URLs {
	for _, list := range []*[]string{&u.IssuingCertificates, &u.CRLDistributionPoints, &u.DeltaCRLDistributionPoints, &u.OCSPServers} {
		*list = append([]string{}, *list...)
	}
	return u
}

func (u URLs) equal(v URLs) bool {
	return slices.Equal(u.IssuingCertificates, v.IssuingCertificates) && slices.Equal(u.CRLDistributionPoints, v.CRLDistributionPoints) &&
		slices.Equal(u.DeltaCRLDistributionPoints, v.DeltaCRLDistributionPoints) && slices.Equal(u.OCSPServers, v.OCSPServers)
}

func (u URLs) empty() bool {
	return len(u.IssuingCertificates)+len(u.CRLDistributionPoints)+len(u.DeltaCRLDistributionPoints)+len(u.OCSPServers) == 0
}

func (u URLs) issuance() issuance.URLs {
	return issuance.URLs{
		IssuingCertificates: u.IssuingCertificates, CRLDistributionPoints: u.CRLDistributionPoints,
		DeltaCRLDistributionPoints: u.DeltaCRLDistributionPoints, OCSPServers: u.OCSPServers,
	}
}
