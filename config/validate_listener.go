package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
)

// maxSocketPath is what fits into sockaddr_un with its zero octet (unix(7)).
const maxSocketPath = 107

// listeners checks the listener blocks of a daemon that has these types.
func (c checker) listeners(list []Listener, types ...string) {
	seen := make(map[string]Place)
	for _, l := range list {
		if !slices.Contains(types, l.Type) {
			c.faultf(l.Place, "", "listener %q: hsmd listens on Unix sockets only", l.Type)
			continue
		}
		if l.Address == "" {
			continue
		}
		c.unique(seen, "address", "listener at", l.Address, l.Place)
		if l.Type == "unix" {
			c.socket(l.Place, l.Address)
		} else {
			c.tcp(l)
		}
	}
}

// socket checks the path of a Unix socket.
func (c checker) socket(p Place, address string) {
	if !path.IsAbs(address) {
		c.faultf(p, "address", "address must be an absolute path")
	} else if len(address) > maxSocketPath {
		c.faultf(p, "address", "address is longer than %d octets, which is all that a Unix socket can have", maxSocketPath)
	}
}

func (c checker) tcp(l Listener) {
	host, port, err := net.SplitHostPort(l.Address)
	if n, perr := strconv.ParseUint(port, 10, 16); err != nil || perr != nil || n > 65535 {
		c.faultf(l.Place, "address", `address must be host:port, such as "127.0.0.1:8200"`)
		return
	}
	for _, text := range l.XForwardedForAuthorizedAddrs {
		if _, err := ParseRange(text); err != nil {
			c.faultf(l.Place, "x_forwarded_for_authorized_addrs", "x_forwarded_for_authorized_addrs: %q is neither an address nor a range such as 10.0.0.0/8", text)
		}
	}
	if l.TLSDisable {
		if !loopback(host) {
			c.faultf(l.Place, "tls_disable", "tls_disable is taken only for a loopback address, such as 127.0.0.1")
		}
		for _, attr := range []string{"tls_cert_file", "tls_key_file", "tls_client_ca_file"} {
			c.notWith(l.Place, attr, "tls_disable")
		}
		return
	}
	for _, attr := range []string{"tls_cert_file", "tls_key_file"} {
		if !l.Place.Has(attr) {
			c.faultf(l.Place, "", "listener \"tcp\" needs %s, or tls_disable on a loopback address", attr)
		}
	}
	c.absolute(l.Place, "tls_cert_file", l.TLSCertFile)
	c.absolute(l.Place, "tls_key_file", l.TLSKeyFile)
	c.absolute(l.Place, "tls_client_ca_file", l.TLSClientCAFile)
}

// ParseRange reads an address, or a range of addresses in CIDR.
func ParseRange(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil {
		return addr.Unmap().Prefix(addr.Unmap().BitLen())
	}
	prefix, err := netip.ParsePrefix(text)
	if err == nil && prefix != prefix.Masked() {
		err = fmt.Errorf("%s has bits beyond its length", text)
	}
	return prefix, err
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

func (c *PKID) validate(src *source) {
	check := checker{src}
	check.absolute(c.Storage.Place, "path", c.Storage.Path)
	check.absolute(c.Place, "audit_log", c.AuditLog)
	check.socket(c.HSMD.Place, c.HSMD.Address)
	check.listeners(c.Listeners, "unix", "tcp")
	seen := make(map[string]Place)
	for _, p := range c.Peers {
		check.unique(seen, "", "peer", p.Name, p.Place)
		for _, policy := range p.Policies {
			if strings.ToLower(policy) != policy || strings.ContainsAny(policy, " /") {
				check.faultf(p.Place, "policies", "policy %q: must be the lower-case name of a policy", policy)
			}
		}
	}
	for _, file := range c.BlockedKeys {
		if !path.IsAbs(file) {
			check.faultf(c.Place, "blocked_keys", "blocked_keys: %q is not an absolute path", file)
		}
	}
	if c.APIAddr != "" {
		check.apiAddr(c.Place, c.APIAddr)
	}
	check.tracing(c.Tracing)
}

func (c checker) apiAddr(p Place, addr string) {
	u, err := url.Parse(addr)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil ||
		strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		c.faultf(p, "api_addr", `api_addr must be a URL such as "https://ca.example.com:8200"`)
	}
}
