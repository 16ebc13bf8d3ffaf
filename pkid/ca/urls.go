package ca

import (
	"context"
	"net/url"
	"slices"

	"github.com/hsmpki/hsmpki/pkid/issuance"
	"github.com/hsmpki/hsmpki/pkid/store"
)

// URLs are a mount's config/urls.
type URLs struct {
	IssuingCertificates        []string `json:"issuing_certificates"`
	CRLDistributionPoints      []string `json:"crl_distribution_points"`
	DeltaCRLDistributionPoints []string `json:"delta_crl_distribution_points"`
	OCSPServers                []string `json:"ocsp_servers"`
	EnableTemplating           bool     `json:"enable_templating"`
}

// URLChange changes those that are not nil.
type URLChange struct {
	IssuingCertificates, CRLDistributionPoints, DeltaCRLDistributionPoints, OCSPServers *[]string
	EnableTemplating                                                                    *bool
}

// URLs gives the mount's URLs.
func (a *Authority) URLs() URLs { return a.view.Load().settings.URLs.clone() }

// SetURLs changes the URLs that certificates issued from now on carry.
func (a *Authority) SetURLs(ctx context.Context, c URLChange) (URLs, error) {
	var now URLs
	if c.EnableTemplating != nil && *c.EnableTemplating {
		return now, refuse("enable_templating is not built yet")
	}
	err := a.change(ctx, func(v *view, tx store.Tx) error {
		now = v.settings.URLs
		for _, field := range []struct {
			name string
			from *[]string
			to   *[]string
		}{
			{"issuing_certificates", c.IssuingCertificates, &now.IssuingCertificates},
			{"crl_distribution_points", c.CRLDistributionPoints, &now.CRLDistributionPoints},
			{"delta_crl_distribution_points", c.DeltaCRLDistributionPoints, &now.DeltaCRLDistributionPoints},
			{"ocsp_servers", c.OCSPServers, &now.OCSPServers},
		} {
			if field.from == nil {
				continue
			}
			if err := checkURLs(field.name, *field.from); err != nil {
				return err
			}
			*field.to = slices.Clone(*field.from)
		}
		v.settings.URLs = now
		return v.putSettings(tx, a.space)
	})
	return now.clone(), err
}

func checkURLs(name string, urls []string) error {
	for _, text := range urls {
		u, err := url.Parse(text)
		if err != nil || u.Scheme == "" || u.Host == "" {
			return refuse("invalid URL found in Authority Information Access (AIA) parameter %s: %s", name, text)
		}
	}
	return nil
}

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
	return len(u.IssuingCertificates) == 0 && len(u.CRLDistributionPoints) == 0 && len(u.OCSPServers) == 0
}

func (u URLs) issuance() issuance.URLs {
	return issuance.URLs{
		IssuingCertificates: u.IssuingCertificates, CRLDistributionPoints: u.CRLDistributionPoints,
		DeltaCRLDistributionPoints: u.DeltaCRLDistributionPoints, OCSPServers: u.OCSPServers,
	}
}
