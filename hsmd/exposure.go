package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/hsmpki/hsmpki/config"
	"github.com/hsmpki/hsmpki/hsmd/server"
)

// exposure says of each key the worst that whoever takes a client over could do
// under a configuration, a sentence each.
func exposure(cfg *config.HSMD, state *server.State) (sentences []string) {
	for i := range cfg.ManagedKeys {
		k := &cfg.ManagedKeys[i]
		who := mayAsk(cfg, config.CapSign, k.Name)
		switch {
		case !state.Keys.Lookup(k.Name).Signs():
			sentences = append(sentences, fmt.Sprintf("%s: signs nothing (usages).", k.Name))
		case who == "":
			sentences = append(sentences, fmt.Sprintf("%s: no client may have it sign.", k.Name))
		default:
			sentences = append(sentences, fmt.Sprintf("%s: %s can have signed %s.", k.Name, who, worst(k.Constraints, k.Approval)))
		}
	}
	w := cfg.WireKeys
	if w == nil {
		return sentences
	}
	if who := mayAsk(cfg, config.CapConfigure, ""); who != "" {
		sentences = append(sentences, fmt.Sprintf("keys defined over the wire: %s can define up to %d of libraries %s, on tokens %s, with a PIN that it knows; with each of them %s can have signed %s.",
			who, w.MaxKeys, listed(w.Libraries), listed(w.Tokens), cmp.Or(mayAsk(cfg, config.CapSign, "*"), "nobody"), worst(w.Constraints, w.Approval)))
	}
	if who := mayAsk(cfg, config.CapGenerate, ""); cfg.InternalKeys != nil && who != "" {
		sentences = append(sentences, fmt.Sprintf("keys of internal_keys: %s can have up to %d made, and with each of its own have signed %s.", who, w.MaxKeys, worst(w.Constraints, w.Approval)))
	}
	return sentences
}

// mayAsk names who is allowed an operation on a key: "" asks for any, "*" for one
// that is not in the file.
func mayAsk(cfg *config.HSMD, capability config.Capability, key string) string {
	if len(cfg.Clients) == 0 {
		return "root and hsmd's own user"
	}
	var names []string
	for _, c := range cfg.Clients {
		if slices.Contains(c.Capabilities, capability) && (key == "" || slices.Contains(c.Keys, "*") || slices.Contains(c.Keys, key)) {
			names = append(names, fmt.Sprintf("client %q", c.Name))
		}
	}
	return strings.Join(names, " or ")
}

// worst is what rules leave open. No rules leave all of it open.
func worst(c *config.Constraint, a *config.Approval) string {
	if c == nil {
		c = &config.Constraint{}
	}
	var parts []string
	for _, kind := range []struct {
		name string
		say  string
	}{
		{"certificate", worstCertificate(c)},
		{"crl", "CRLs, good " + upTo(c.MaxCRLValidity)},
		{"ocsp", "OCSP responses, good " + upTo(c.MaxOCSPValidity)},
		{"csr", "certificate requests"},
	} {
		if len(c.Sign) > 0 && !slices.Contains(c.Sign, kind.name) {
			continue
		}
		say := kind.say
		if a != nil && (len(a.Sign) == 0 || slices.Contains(a.Sign, kind.name)) {
			say = fmt.Sprintf("with %d approvals for each of them, %s", a.Quorum, say)
		}
		parts = append(parts, say)
	}
	rate := "as often as the token can"
	if c.Rate > 0 {
		rate = fmt.Sprintf("%d a second", c.Rate)
	}
	return strings.Join(parts, "; ") + "; " + rate
}

// worstCertificate is the certificate that rules let pass.
func worstCertificate(c *config.Constraint) string {
	words := []string{"certificates, CAs' too, with any path length, and what these sign is bound by nothing here,"}
	switch {
	case c.CA != nil && !*c.CA:
		words[0] = "certificates, but no CA's,"
	case c.MaxPathLength != nil:
		words[0] = fmt.Sprintf("certificates, CAs' too, with a path length of at most %d, and what these sign is bound by nothing here,", *c.MaxPathLength)
	}
	words = append(words, worstNames(c), "good "+upTo(c.MaxTTL))
	if len(c.ExtendedKeyUsages) > 0 {
		words = append(words, "for "+strings.Join(c.ExtendedKeyUsages, ", "))
	} else {
		words = append(words, "for any purpose")
	}
	if len(c.PublicKeyTypes) > 0 {
		words = append(words, "of keys of type "+strings.Join(c.PublicKeyTypes, ", "))
	}
	if len(c.Issuer) > 0 {
		words = append(words, "in the name of the CAs in "+strings.Join(c.Issuer, ", "))
	}
	if c.MaxPerDay > 0 {
		words = append(words, fmt.Sprintf("at most %d a day", c.MaxPerDay))
	}
	if len(c.Hours) > 0 {
		words = append(words, fmt.Sprintf("%s (%s)", strings.Join(c.Hours, ", "), c.TimeZone))
	}
	return strings.Join(words, " ")
}

func worstNames(c *config.Constraint) string {
	var within, but []string
	for _, side := range []struct {
		names *config.Names
		to    *[]string
	}{{&c.Permitted, &within}, {&c.Excluded, &but}} {
		for _, list := range [][]string{side.names.DNSDomains, side.names.IPRanges, side.names.EmailAddresses, side.names.URIDomains, side.names.DirectoryNames} {
			*side.to = append(*side.to, list...)
		}
	}
	for _, id := range c.PermittedOtherNames {
		within = append(within, "other names of type "+id)
	}
	words := "for any name"
	if len(within) > 0 {
		words = "for any name within " + strings.Join(within, ", ")
	}
	if len(but) > 0 {
		words += " but " + strings.Join(but, ", ")
	}
	return words
}

func upTo(d config.Duration) string {
	if d == 0 {
		return "for ever"
	}
	return "for " + d.String()
}

func showExposure(out io.Writer, cfg *config.HSMD, state *server.State) {
	fmt.Fprintln(out, "The worst that whoever takes a client over could do:")
	for _, s := range exposure(cfg, state) {
		fmt.Fprintln(out, " ", s)
	}
}
