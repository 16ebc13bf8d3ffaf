package listen

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hsmpki/hsmpki/config"
)

// Certificates are those of the open TLS listeners, and of the CAs that their
// clients are let in by, read anew.
type Certificates struct {
	read map[*listener]*tls.Config
}

// Read reads the certificates that a configuration names. Nothing changes until
// [Certificates.Use]. The error joins a fault for each that cannot be used, also
// of a listener that only a restart opens.
func (ls *Listeners) Read(configured []config.Listener) (*Certificates, error) {
	cs := &Certificates{read: map[*listener]*tls.Config{}}
	var faults []error
	for _, c := range configured {
		if c.Type != "tcp" || c.TLSDisable {
			continue
		}
		settings, err := tlsOf(c)
		if err != nil {
			faults = append(faults, err)
		} else if l := ls.find(&c); l != nil && l.tls.Load() != nil {
			cs.read[l] = settings
		}
	}
	return cs, errors.Join(faults...)
}

// Use has connections from now on shown these certificates. Those that are open
// go on.
func (cs *Certificates) Use() {
	for l, settings := range cs.read {
		l.tls.Store(settings)
	}
}

// find gives the open listener of a block, nil where none is at its address.
func (ls *Listeners) find(c *config.Listener) *listener {
	for _, l := range ls.open {
		if l.config.Type == c.Type && l.config.Address == c.Address {
			return l
		}
	}
	return nil
}

// NeedRestart says, with the place of each, in what a configuration differs
// from the listeners that are open, beyond their certificates.
func (ls *Listeners) NeedRestart(configured []config.Listener) (changes []error) {
	meant := map[*listener]bool{}
	for _, c := range configured {
		l := ls.find(&c)
		if l == nil {
			changes = append(changes, c.Place.Errorf("address", "listener %s: it is not open", c.Address))
			continue
		}
		meant[l] = true
		if old := l.config; c.TLSDisable != old.TLSDisable || c.SocketMode != old.SocketMode || c.SocketUser != old.SocketUser || c.SocketGroup != old.SocketGroup ||
			c.UnauthenticatedMetricsAccess != old.UnauthenticatedMetricsAccess ||
			!slices.Equal(c.XForwardedForAuthorizedAddrs, old.XForwardedForAuthorizedAddrs) {
			changes = append(changes, c.Place.Errorf("", "listener %s: it is open with other settings", c.Address))
		}
	}
	for _, l := range ls.open {
		if !meant[l] {
			changes = append(changes, fmt.Errorf("listener %s: it is still open", l.config.Address))
		}
	}
	return changes
}

// Rules are the listeners in words, with the certificates that they show.
func (ls *Listeners) Rules() []config.Rule {
	var rules []config.Rule
	for _, l := range ls.open {
		text := "open"
		if settings := l.tls.Load(); settings != nil {
			certificate := settings.Certificates[0]
			id := sha256.Sum256(certificate.Certificate[0])
			text = fmt.Sprintf("open, shows the certificate of %q until %s, SHA-256 %s", certificate.Leaf.Subject.String(),
				certificate.Leaf.NotAfter.UTC().Format(time.RFC3339), hex.EncodeToString(id[:]))
			if settings.ClientCAs != nil {
				text += ", lets in clients' certificates of certain CAs alone"
			}
		}
		if proxies := l.config.XForwardedForAuthorizedAddrs; len(proxies) > 0 {
			text += ", heeds X-Forwarded-For from " + strings.Join(proxies, ", ")
		}
		rules = append(rules, config.Rule{Subject: fmt.Sprintf("listener %q", l.config.Address), Text: text})
	}
	return rules
}
