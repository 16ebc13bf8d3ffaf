package ca

import (
	"fmt"
	"strings"
)

// URLs may have in double braces what is filled in for each issuer when it
// issues (vault-api 4.6): its id, and the two addresses of config/cluster.
const (
	fieldIssuer  = "issuer_id"
	fieldPath    = "cluster_path"
	fieldAIAPath = "cluster_aia_path"
)

// exampleValues stand in for the values when URLs are checked.
var exampleValues = map[string]string{fieldIssuer: "id", fieldPath: "http://example.com/v1/pki", fieldAIAPath: "http://example.com/v1/pki"}

// errLacking is returned by fill for a field without a value.
type errLacking string

func (e errLacking) Error() string {
	return fmt.Sprintf("unable to template AIA URLs as we lack a value for {{%s}}", string(e))
}

// fill replaces the fields of a template.
func fill(text string, values map[string]string) (string, error) {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(text, "{{")
		out.WriteString(before)
		if !found {
			return out.String(), nil
		}
		field, after, closed := strings.Cut(rest, "}}")
		field = strings.TrimSpace(field)
		value, known := values[field]
		switch {
		case !closed || !known:
			return "", fmt.Errorf("%q in a template is none of {{issuer_id}}, {{cluster_path}} and {{cluster_aia_path}}", "{{"+field)
		case value == "":
			return "", errLacking(field)
		}
		out.WriteString(value)
		text = after
	}
}

// filled is u with its templates filled in, if they are.
func (u URLs) filled(values map[string]string) (URLs, error) {
	u = u.clone()
	if !u.EnableTemplating {
		return u, nil
	}
	for _, list := range [][]string{u.IssuingCertificates, u.CRLDistributionPoints, u.DeltaCRLDistributionPoints, u.OCSPServers} {
		for n, text := range list {
			var err error
			if list[n], err = fill(text, values); err != nil {
				return URLs{}, err
			}
		}
	}
	return u, nil
}

// urlsOf are the URLs that an issuer's certificates carry: its own if it has
// any, else the mount's. fault says what a template lacks; there are no URLs then.
func (v *view) urlsOf(i *Issuer) (urls URLs, fault error) {
	urls = i.URLs
	if urls.empty() {
		urls = v.settings.URLs
	}
	urls, err := urls.filled(v.settings.values(i.ID))
	if err != nil {
		return URLs{}.clone(), refuse("%v: set it in config/cluster, or leave it out of the URLs of issuer %s or of config/urls", err, i.ID)
	}
	return urls, nil
}

func (s *settings) values(issuer string) map[string]string {
	return map[string]string{fieldIssuer: issuer, fieldPath: s.Cluster.Path, fieldAIAPath: s.Cluster.AIAPath}
}

// lacking warns of templates that cannot be filled in yet.
func (s *settings) lacking(u URLs) []string {
	if _, err := u.filled(s.values("id")); err != nil {
		return []string{err.Error() + ": issuing will fail until config/cluster has it"}
	}
	return nil
}
