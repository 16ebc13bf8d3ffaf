package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hsmpki/hsmpki/config"
	"github.com/hsmpki/hsmpki/hsmd/grant"
	"github.com/hsmpki/hsmpki/hsmd/managedkey"
	"github.com/hsmpki/hsmpki/hsmd/server"
	"github.com/hsmpki/hsmpki/wire"
)

// rules are what a configuration and the state that was made of it come to.
func rules(cfg *config.HSMD, state *server.State) []config.Rule {
	all := []config.Rule{{Subject: "log_level", Text: strings.ToLower(cfg.LogLevel.String())}}
	for _, l := range cfg.Libraries {
		all = append(all, config.Rule{Subject: fmt.Sprintf("kms_library %q", l.Name), Text: describeLibrary(&l), Hidden: config.Hide([]any{l.InitArgs, l.Env})})
	}
	if len(cfg.Clients) == 0 {
		all = append(all, config.Rule{Subject: "clients", Text: noClients})
	} else {
		all = append(all, config.Rule{Subject: "root, where no client block matches it", Text: "may: " + grant.RootAlways()})
	}
	for _, c := range cfg.Clients {
		all = append(all, config.Rule{Subject: fmt.Sprintf("client %q", c.Name), Text: who(&c) + " may: " + may(&c)})
	}
	for _, k := range state.Keys.All() {
		all = append(all, config.Rule{Subject: fmt.Sprintf("managed_key %q", k.Name()), Text: describeKey(k), Hidden: config.Hide(definitionsOf(k))})
	}
	all = append(all, constraintRules(cfg)...)
	all = append(all, approvalRules(cfg)...)
	if until := state.UnrecordedGoodUntil; !until.IsZero() {
		all = append(all, config.Rule{Subject: "ledger", Text: "OCSP may say \"good\" of certificates that it does not know until " + until.UTC().Format(time.RFC3339)})
	}
	if cfg.WireKeys != nil {
		all = append(all, config.Rule{Subject: "wire_keys", Text: describeWireKeys(cfg.WireKeys)})
	}
	if cfg.InternalKeys != nil {
		all = append(all, config.Rule{Subject: "internal_keys", Text: describeInternalKeys(cfg.InternalKeys), Hidden: config.Hide(state.Internal.Token())})
	}
	return all
}

const noClients = "no client block: root and hsmd's own user may ask everything, nobody else anything"

// definitionsOf are what a key is defined as on each of its tokens.
func definitionsOf(k *managedkey.Key) (all []wire.Definition) {
	for _, place := range k.Places() {
		all = append(all, place.Definition)
	}
	return all
}

// describeLibrary says what a worker loads. The values of variables and the
// arguments may hold secrets.
func describeLibrary(l *config.Library) string {
	words := []string{l.Path, "as many sessions as a token allows, at most 32"}
	if l.MaxSessions > 0 {
		words[1] = fmt.Sprintf("at most %d sessions on a token", l.MaxSessions)
	}
	if len(l.Env) > 0 {
		words = append(words, "with "+strings.Join(slices.Sorted(maps.Keys(l.Env)), ", ")+" set")
	}
	if l.InitArgs != "" {
		words = append(words, "with init_args")
	}
	if l.KeyIDLength != config.DefaultKeyIDLength {
		words = append(words, fmt.Sprintf("made keys get an id of %d octets", l.KeyIDLength))
	}
	if l.Paths != nil || l.User != "" {
		words = append(words, confined(l))
	}
	return strings.Join(words, ", ")
}

func describeWireKeys(w *config.WireKeys) string {
	words := fmt.Sprintf("clients with \"configure\" may define up to %d more, of libraries %s, on tokens %s", w.MaxKeys, listed(w.Libraries), listed(w.Tokens))
	if len(w.Regions) > 0 {
		words += fmt.Sprintf("; and in AWS KMS, in regions %s, at endpoints %s besides the regions' own, with credentials given or hsmd's own", listed(w.Regions), listed(w.Endpoints))
	}
	return words
}

func describeInternalKeys(k *config.InternalKeys) string {
	return fmt.Sprintf("clients with \"generate\" may have keys made on the token of internal_keys, of library %q", k.Library)
}

func describeListener(l *config.Listener) string {
	return fmt.Sprintf("%s, mode %s%s%s", l.Address, l.SocketMode, prefixed(", user ", l.SocketUser), prefixed(", group ", l.SocketGroup))
}

func who(c *config.Client) string {
	return strings.TrimPrefix(prefixed(" and user ", c.User)+prefixed(" and group ", c.Group), " and ")
}

func may(c *config.Client) string {
	words := []string{"describe", "status"}
	for _, capability := range c.Capabilities {
		words = append(words, string(capability))
	}
	return strings.Join(words, ", ") + ", on keys " + listed(c.Keys)
}

// describeKey says what a key is, and never its PIN.
func describeKey(k *managedkey.Key) string {
	d := &k.Definition
	words := placeWords(d)
	if d.AnyMount {
		words = append(words, "any mount may use it")
	}
	if !k.Signs() {
		words = append(words, "does not sign (usages)")
	}
	for _, c := range k.Copies[min(1, len(k.Copies)):] {
		p := c.Definition.PKCS11
		words = append(words, "also on "+copyName(&wire.CopyInfo{Library: p.Library, TokenLabel: p.TokenLabel, TokenSerial: p.TokenSerial, Slot: p.Slot}))
	}
	switch {
	case k.Library == nil:
		words = append(words, "cannot be used: "+k.Fault)
	case k.Source == wire.SourceWire:
		words = append(words, "defined over the wire")
	case k.Source == wire.SourceInternal:
		words = append(words, "made for a client")
	}
	var said []string
	for _, w := range words {
		if w != "" {
			said = append(said, w)
		}
	}
	return strings.Join(said, ", ")
}

// placeWords says where a key is, and how it comes to be.
func placeWords(d *wire.Definition) []string {
	if d.AWSKMS != nil {
		return awsWords(d)
	}
	p := d.PKCS11
	words := []string{fmt.Sprintf("%s in library %q", algorithm(d), p.Library)}
	words = append(words, prefixed("token ", p.TokenLabel), prefixed("token serial ", p.TokenSerial), prefixed("key label ", p.KeyLabel), prefixed("key id ", p.KeyID))
	if p.Slot != nil {
		words = append(words, fmt.Sprintf("slot %d", *p.Slot))
	}
	words = append(words, loginWords(p))
	if d.AllowGenerateKey {
		words = append(words, "is made when it is missing"+hexWord(" by mechanism ", p.GenerateMechanism))
	}
	if len(p.PublicKey) > 0 {
		words = append(words, "its public key given here")
	}
	return words
}

func awsWords(d *wire.Definition) []string {
	p := d.AWSKMS
	words := []string{algorithm(d) + " in AWS KMS", p.KMSKey, prefixed("region ", p.Region), prefixed("endpoint ", p.Endpoint), "with hsmd's own credentials"}
	if p.AccessKey != "" {
		words[len(words)-1] = "with an access key of its own"
	}
	if p.RequestsPerSecond != 0 {
		words = append(words, fmt.Sprintf("at most %d signatures a second", p.RequestsPerSecond))
	}
	if d.AllowGenerateKey {
		words = append(words, "is made when it is missing")
	}
	return words
}

// algorithm names a key's algorithm in words.
func algorithm(d *wire.Definition) string {
	if d.AWSKMS != nil {
		return managedkey.AWSAlgorithm(d.AWSKMS)
	}
	p := d.PKCS11
	switch p.Mechanism {
	case managedkey.MechanismRSAPKCS:
		return strings.TrimSuffix(fmt.Sprintf("RSA PKCS#1 v1.5 %d", p.KeyBits), " 0")
	case managedkey.MechanismRSAPSS:
		return strings.TrimSuffix(fmt.Sprintf("RSA-PSS %d", p.KeyBits), " 0")
	case managedkey.MechanismEdDSA:
		return "Ed25519"
	case managedkey.MechanismMLDSA:
		return strings.TrimSuffix(fmt.Sprintf("ML-DSA-%d", p.KeyBits), "-0")
	}
	return strings.TrimSpace("ECDSA " + p.Curve)
}

// loginWords says who logs in for a key, where it is not the normal user.
func loginWords(p *wire.PKCS11Definition) string {
	switch p.Login {
	case config.LoginCryptoUser:
		return "login as crypto user"
	case config.LoginContextSpecific:
		return "login again for each signature"
	case config.LoginNone:
		return "no login"
	}
	return ""
}

// hexWord is a mechanism's number; empty for 0, which says nothing.
func hexWord(prefix string, ckm uint64) string {
	if ckm == 0 {
		return ""
	}
	return fmt.Sprintf("%s0x%04X", prefix, ckm)
}

func listed(words []string) string {
	if len(words) == 0 {
		return "(none)"
	}
	return strings.Join(words, ", ")
}

func prefixed(prefix, s string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}
