package config

import "log/slog"

// Where pkid keeps its state and listens when its file does not say.
const (
	DefaultStorePath  = "/var/lib/pkid"
	DefaultPKIDSocket = "/run/pkid/pkid.sock"
)

// PKID is the configuration of pkid.
type PKID struct {
	// Storage (storage "pebble") is where the state is kept. Default: Pebble
	// in /var/lib/pkid.
	Storage Storage

	// HSMD (hsmd) says how hsmd is reached. Default: at /run/hsmd/hsmd.sock.
	HSMD HSMDService

	// Listeners (listener "unix", listener "tcp") are where the API is served.
	// Default: one Unix socket, at /run/pkid/pkid.sock.
	Listeners []Listener

	// Peers (peer "user") say which policies the users behind a Unix socket
	// have without a token. None: root and pkid's own user have the root
	// policy, all others what a stranger has. With one or more, only they
	// count, for root too.
	Peers []Peer

	// APIAddr (api_addr) is the address that clients reach pkid at, as an http
	// or https URL without a path, for redirects and links.
	APIAddr string

	// BlockedKeys (blocked_keys) are the absolute paths of files with public
	// keys that are not certified, one a line: the SHA-256 of the
	// SubjectPublicKeyInfo in hexadecimal or base64, or the fingerprint of an
	// RSA modulus as in Debian's openssl-blacklist. They are read at the start
	// and on SIGHUP. Default: none.
	BlockedKeys []string

	// AuditLog (audit_log) is the absolute path of the log of requests, each of
	// which is in it before it is acted on; without the log nothing is done. It is
	// opened anew on SIGHUP. Default: none is kept.
	AuditLog string

	// Tracing (tracing) says where traces go. Default, nil: none are made.
	Tracing *Tracing

	// LogLevel (log_level) is debug, info, warn or error. Default: info.
	LogLevel slog.Level

	// Warnings are what was accepted but should be known.
	Warnings []Diagnostic

	// Place is the beginning of the file.
	Place Place
}

// Storage is the storage block.
type Storage struct {
	// Type is the label: "pebble".
	Type string

	// Path (path) is Pebble's directory, absolute, made with mode 0700.
	// Default: /var/lib/pkid.
	Path string

	Place Place
}

// HSMDService is the hsmd block.
type HSMDService struct {
	// Address (address) is the absolute path of hsmd's socket. Default:
	// /run/hsmd/hsmd.sock.
	Address string

	// User (user) is the name or number of the user that hsmd runs as; a
	// server that is neither this nor root is refused. Not set: not checked.
	User string

	Place Place
}

// Peer is one peer block. A peer matches when it is the user and in the group
// that are given; where neither is, the label is the user.
type Peer struct {
	// Name is the label.
	Name string

	// User (user) is the name or number of the peer's user. Default: the
	// label, where group is not set either.
	User string

	// Group (group) is the name or number of one of the peer's groups.
	Group string

	// Policies (policies) are the names of the peer's policies. Required.
	Policies []string

	Place Place
}

func (c *PKID) fields(b *block) {
	*c = PKID{
		Storage: Storage{Type: "pebble", Path: DefaultStorePath, Place: b.place},
		HSMD:    HSMDService{Address: DefaultHSMDSocket, Place: b.place},
		Place:   b.place,
	}
	b.single("storage", func(b *block) { c.Storage = readStorage(b) }, "type")
	b.single("hsmd", func(b *block) { c.HSMD = readHSMDService(b) })
	b.blocks("listener", []string{"type"}, func(b *block) { readListener(b, &c.Listeners) })
	b.blocks("peer", []string{"user"}, func(b *block) { c.Peers = append(c.Peers, readPeer(b)) })
	b.single("tracing", func(b *block) { c.Tracing = readTracing(b) })
	b.str("api_addr", &c.APIAddr)
	b.list("blocked_keys", &c.BlockedKeys)
	b.str("audit_log", &c.AuditLog)
	b.level("log_level", &c.LogLevel)
}

func (c *PKID) defaults() {
	if len(c.Listeners) == 0 {
		c.Listeners = []Listener{{Type: "unix", Address: DefaultPKIDSocket, SocketMode: DefaultSocketMode, Place: c.Place}}
	}
}

func readStorage(b *block) Storage {
	s := Storage{Type: b.labels[0], Path: DefaultStorePath}
	switch s.Type {
	case "pebble":
		b.str("path", &s.Path)
		s.Place = b.read()
	case "postgresql":
		s.Place = b.place
	default:
		b.faultf("", "storage %q: the types are \"pebble\" and \"postgresql\"", s.Type)
		s.Place = b.place
	}
	return s
}

func readHSMDService(b *block) HSMDService {
	h := HSMDService{Address: DefaultHSMDSocket}
	b.str("address", &h.Address)
	b.account("user", &h.User)
	h.Place = b.read()
	return h
}

func readPeer(b *block) Peer {
	p := Peer{Name: b.labels[0]}
	b.account("user", &p.User)
	b.account("group", &p.Group)
	b.list("policies", &p.Policies)
	p.Place = b.read()
	b.need("policies")
	if p.User == "" && p.Group == "" {
		p.User = p.Name
	}
	return p
}
