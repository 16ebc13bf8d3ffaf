package ca

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hsmpki/hsmpki/pkid/chain"
	"github.com/hsmpki/hsmpki/pkid/issuance"
)

// derived is what an issuer is together with the other objects of the mount.
type derived struct {
	issuance *issuance.Issuer // nil where the certificate is of a kind that signs nothing here
	fault    error            // why it does not issue, whatever its usages say
	urls     URLs             // what its certificates carry
	members  []*Issuer        // of its chain, itself first
	path     []*Issuer        // the first of these, each of which has signed the one before
	roots    []bool           // which of its chain are roots
}

// settle works out what depends on several objects: chains, where the issuers
// or their manual chains have changed, and the URLs of each.
func (v *view) settle(b *chain.Builder) {
	ids := slices.Sorted(maps.Keys(v.issuers))
	if arrangement := v.arrangement(ids); arrangement != v.chained {
		v.buildChains(b, ids)
		v.chained = arrangement
	}
	for _, id := range ids {
		i := v.issuers[id]
		urls, fault := v.urlsOf(i)
		if i.issuance == nil || !i.urls.equal(urls) || fmt.Sprint(fault) != fmt.Sprint(i.fault) {
			v.issuers[id] = i.with(urls, fault)
		}
	}
}

// arrangement is a text that differs where chains may.
func (v *view) arrangement(ids []string) string {
	var b strings.Builder
	for _, id := range ids {
		fmt.Fprintf(&b, "%s%v;", id, v.issuers[id].ManualChain)
	}
	return b.String()
}

func (v *view) buildChains(b *chain.Builder, ids []string) {
	set := make([]chain.Certificate, len(ids))
	for n, id := range ids {
		set[n].Certificate = v.issuers[id].Certificate
		for _, m := range v.issuers[id].ManualChain {
			if at, found := slices.BinarySearch(ids, m); found {
				set[n].Manual = append(set[n].Manual, at)
			}
		}
	}
	chains := b.Build(set)
	old := make([]*Issuer, len(ids))
	for n, id := range ids {
		old[n] = v.issuers[id]
	}
	for n, c := range chains {
		next := *old[n]
		next.Chain, next.ChainPEM, next.derived = nil, nil, derived{}
		for at, m := range c.Members {
			next.Chain, next.ChainPEM = append(next.Chain, old[m].DER), append(next.ChainPEM, old[m].PEM)
			next.roots = append(next.roots, isRoot(old[m].Certificate))
			if next.members = append(next.members, old[m]); at < c.Path {
				next.path = append(next.path, old[m])
			}
		}
		v.issuers[next.ID] = &next
	}
}

func isRoot(c *x509.Certificate) bool {
	if len(c.AuthorityKeyId) > 0 {
		return bytes.Equal(c.AuthorityKeyId, c.SubjectKeyId)
	}
	return bytes.Equal(c.RawSubject, c.RawIssuer) && c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
}

// with is the issuer with these URLs. Where they lack something (fault) it
// issues nothing, but signs CRLs and OCSP answers, which have none.
func (i *Issuer) with(urls URLs, fault error) *Issuer {
	next := *i
	var above []*x509.Certificate
	for _, parent := range i.members[1:] {
		above = append(above, parent.Certificate)
	}
	made, err := issuance.NewIssuer(i.Certificate, urls.issuance(), above...)
	if err != nil && fault == nil {
		fault = refuse("issuer %s cannot issue: %v", i.ID, err)
	}
	next.issuance, next.fault, next.urls = made, fault, urls
	return &next
}

// signedBy is the issuer of the mount that has signed this one's certificate
// and has a key here, nil if there is none but itself.
func (v *view) signedBy(i *Issuer) *Issuer {
	signer := v.signerOf(i.Certificate)
	if signer == nil || signer.group == i.group {
		return nil
	}
	for _, id := range slices.Sorted(maps.Keys(v.issuers)) {
		if p := v.issuers[id]; p.group == signer.group && p.KeyID != "" {
			return p // any of the group has signed it
		}
	}
	return nil
}
