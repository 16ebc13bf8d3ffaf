package main

import (
	"crypto/sha256"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hsmpki/hsmpki/hsmd/managedkey"
	"github.com/hsmpki/hsmpki/wire"
)

// orphan is a private key on a token that no definition names.
type orphan struct {
	Library string `json:"library"`
	Token   string `json:"token"`
	Serial  string `json:"serial"`
	Key     string `json:"key"` // CKA_LABEL, or CKA_ID in hexadecimal
}

func findOrphans(keys []wire.KeyInfo, status *wire.StatusResponse) []orphan {
	orphans := []orphan{}
	for _, l := range status.Libraries {
		for i := range l.Tokens {
			t := &l.Tokens[i]
			for _, name := range t.Keys {
				if !named(keys, l.Name, t, name) {
					orphans = append(orphans, orphan{Library: l.Name, Token: t.Label, Serial: t.Serial, Key: name})
				}
			}
		}
	}
	return orphans
}

func named(keys []wire.KeyInfo, library string, t *wire.TokenStatus, name string) bool {
	for i := range keys {
		for _, p := range placesOf(&keys[i]) {
			if p.KeyLabel != name && p.KeyID != name {
				continue
			}
			if _, err := managedkey.ResolveToken(p, []wire.TokenStatus{*t}); err == nil && strings.EqualFold(p.Library, library) {
				return true
			}
		}
	}
	return false
}

// placesOf are the definitions of a key on each of its tokens.
func placesOf(k *wire.KeyInfo) []*wire.PKCS11Definition {
	if k.Definition.PKCS11 == nil {
		return nil
	}
	all := []*wire.PKCS11Definition{k.Definition.PKCS11}
	for _, c := range k.Copies {
		all = append(all, &wire.PKCS11Definition{Library: c.Library, TokenLabel: c.TokenLabel, TokenSerial: c.TokenSerial, Slot: c.Slot, KeyLabel: c.KeyLabel, KeyID: c.KeyID})
	}
	return all
}

// copyName is a copy's place in a few words.
func copyName(c *wire.CopyInfo) string {
	words := []string{"library " + c.Library, prefixed("token ", c.TokenLabel), prefixed("serial ", c.TokenSerial)}
	if c.Slot != nil {
		words = append(words, fmt.Sprintf("slot %d", *c.Slot))
	}
	return strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), ", ")
}

// copyState says how a copy is.
func copyState(c *wire.CopyInfo) string {
	switch {
	case c.Fault != nil:
		return fmt.Sprintf("away since %s: %v", time.Unix(c.Since, 0).UTC().Format(time.RFC3339), c.Fault.Err())
	case c.Found:
		return "in use"
	}
	return "not looked for"
}

func shownCopies(copies []wire.CopyInfo) []any {
	all := make([]any, len(copies))
	for i, c := range copies {
		all[i] = map[string]any{"library": c.Library, "token_label": c.TokenLabel, "token_serial": c.TokenSerial, "slot": c.Slot,
			"key_label": c.KeyLabel, "key_id": c.KeyID, "under_way": c.UnderWay, "state": copyState(&copies[i])}
	}
	return all
}

// pairs are the names of each key pair that has more than one.
func pairs(keys []wire.KeyInfo) [][]string {
	byKey := map[string][]string{}
	for i := range keys {
		byKey[string(keys[i].PublicKey)] = append(byKey[string(keys[i].PublicKey)], keys[i].Definition.Name)
	}
	var all [][]string
	for public, names := range byKey {
		if public != "" && len(names) > 1 {
			all = append(all, names)
		}
	}
	slices.SortFunc(all, slices.Compare)
	return all
}

// shown is a key as JSON has it.
func shown(k *wire.KeyInfo) map[string]any {
	d := &k.Definition
	m := map[string]any{"name": d.Name, "type": d.Type, "uuid": d.UUID, "source": k.Source,
		"allow_generate_key": d.AllowGenerateKey, "any_mount": d.AnyMount, "schemes": schemeNames(k), "state": condition(k)}
	if p := d.PKCS11; p != nil {
		maps.Copy(m, map[string]any{"library": p.Library, "token_label": p.TokenLabel, "token_serial": p.TokenSerial, "slot": p.Slot,
			"key_label": p.KeyLabel, "key_id": p.KeyID, "login": p.Login, "generate_mechanism": p.GenerateMechanism,
			"mechanism": p.Mechanism, "key_bits": p.KeyBits, "curve": p.Curve})
	}
	if p := d.AWSKMS; p != nil {
		maps.Copy(m, map[string]any{"kms_key": p.KMSKey, "key_type": p.KeyType, "key_bits": p.KeyBits, "curve": p.Curve, "region": p.Region, "endpoint": p.Endpoint})
	}
	if len(k.Copies) > 0 {
		m["copies"] = shownCopies(k.Copies)
	}
	if len(k.PublicKey) > 0 {
		m["public_key"] = string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: k.PublicKey}))
		m["public_key_sha256"] = fingerprint(k, 64)
	}
	return m
}

// libraryOf is where a key is, in a word.
func libraryOf(d *wire.Definition) string {
	if d.AWSKMS != nil {
		return managedkey.AWSKMSName
	}
	return d.PKCS11.Library
}

func schemeNames(k *wire.KeyInfo) string {
	names := make([]string, len(k.Schemes))
	for i, s := range k.Schemes {
		names[i] = s.String()
	}
	return strings.Join(names, " ")
}

func fingerprint(k *wire.KeyInfo, digits int) string {
	if len(k.PublicKey) == 0 {
		return ""
	}
	return fmt.Sprintf("%x", sha256.Sum256(k.PublicKey))[:digits]
}

func condition(k *wire.KeyInfo) string {
	switch {
	case k.Fault != nil:
		return k.Fault.Err().Error()
	case len(k.PublicKey) > 0:
		return "found"
	}
	return "not looked for"
}

func printJSON(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// tokenAway is a token that hsmd keeps requests off for now.
type tokenAway struct {
	Library string `json:"library"`
	Token   string `json:"token"`
	State   string `json:"breaker"`
	Since   string `json:"since"`
	Error   string `json:"error"`
}

func tokensAway(status *wire.StatusResponse) []tokenAway {
	out := []tokenAway{}
	for _, l := range status.Libraries {
		for _, a := range l.Away {
			out = append(out, tokenAway{Library: l.Name, Token: a.Token, State: a.State,
				Since: time.Unix(a.Since, 0).UTC().Format(time.RFC3339), Error: fmt.Sprint(a.Fault.Err())})
		}
	}
	return out
}
