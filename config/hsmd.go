package config

import (
	"log/slog"
	"path"
)

// Where hsmd keeps its state and listens when its file does not say.
const (
	DefaultStateDir   = "/var/lib/hsmd"
	DefaultHSMDSocket = "/run/hsmd/hsmd.sock"
)

// DefaultKeyIDLength is as long as the SHA-1 that others use for a CKA_ID.
const DefaultKeyIDLength = 20

// HSMD is the configuration of hsmd.
type HSMD struct {
	// StateDir (state_dir) is hsmd's own directory, made with mode 0700; each
	// file in it has mode 0600. Default: /var/lib/hsmd.
	StateDir string

	// StateKey (state_key) encrypts what hsmd stores in StateDir. A reference,
	// "file:/path" or "env:NAME", never the key itself. Not set: hsmd makes a
	// key in StateDir, which then guards copies of a file, not of the folder.
	StateKey Secret

	// AuditLog (audit_log) is the path of the log of signatures. Sealed segments of
	// it lie beside it. Default: audit.log in StateDir.
	AuditLog string

	// Witnesses (witness "name") are who signs, elsewhere, how long the log of
	// signatures is: hsmd does not start with one that is older.
	Witnesses []Witness

	// LogLevel (log_level) is debug, info, warn or error. Default: info.
	LogLevel slog.Level

	// Listeners (listener "unix") are the sockets hsmd answers on. Default:
	// one, at /run/hsmd/hsmd.sock.
	Listeners []Listener

	// Libraries (kms_library "pkcs11") are the PKCS#11 libraries that keys may
	// be reached through, with names that differ in more than upper and lower
	// case.
	Libraries []Library

	// Clients (client "name") say who may ask what. None: root and hsmd's own
	// user may ask everything. With one or more, a peer has what all the blocks
	// that match it allow together, root too; root without a matching block may
	// describe, status, test, audit and approve.
	Clients []Client

	// WireKeys (wire_keys) opens the door to keys that are defined over the
	// wire. Not set: only this file defines keys.
	WireKeys *WireKeys

	// InternalKeys (internal_keys) names the token on which keys are made that
	// have no definition of their own (pkid's root/generate/internal).
	InternalKeys *InternalKeys

	// Approvers (approver "name") are the people who can approve what keys with
	// an approval block are to sign.
	Approvers []Approver

	// Ledger (ledger) is about what hsmd has signed before.
	Ledger Ledger

	// ManagedKeys (managed_key "type" "name") are the keys that this file
	// defines, with names that are unique over all types.
	ManagedKeys []ManagedKey

	// Warnings are what was accepted but should be known: literal PINs.
	Warnings []Diagnostic

	// Place is the beginning of the file.
	Place Place
}

// Library is one kms_library "pkcs11" block: a PKCS#11 library, loaded by a
// worker process of its own.
type Library struct {
	// Name (name) is what managed keys call the library by. Required.
	Name string

	// Path (library) is the absolute path of the shared object. Required.
	Path string

	// MaxSessions (max_sessions) bounds the sessions that are open at a time on
	// each token, 1 to 1024. 0, the default: what the token allows, at most 32.
	MaxSessions int

	// KeyIDLength (key_id_length) is how many octets the CKA_ID has that hsmd
	// gives a key which it makes, 1 to 255: some HSMs keep no more than a few
	// (YubiHSM: 2). Default: 20.
	KeyIDLength int

	// Env (env) is added to the worker's environment.
	Env map[string]string

	// InitArgs (init_args) is handed to C_Initialize as pReserved, for NSS
	// softokn and the like.
	InitArgs string

	// Paths (paths) confines the worker to the library, what it links, and
	// these files, folders and sockets, which it may write where its user may.
	// Empty: to the library and what it links. Default: it is not confined.
	Paths []string

	// User (user) is a user of its own for the worker, by name or number. hsmd
	// then has to be root or have CAP_SETUID, CAP_SETGID and
	// CAP_KILL. Default: hsmd's.
	User string

	// Withheld are the variables of hsmd's environment that a secret of this
	// file is read from. The worker does not get them.
	Withheld []string

	Place Place
}

// Witness is one witness "name" block: a witness of C2SP's (c2sp.org/tlog-witness).
type Witness struct {
	// Name is the label; it is for people and logs.
	Name string

	// URL (url) is the witness's submission prefix: https, or http on this machine.
	// Required.
	URL string

	// Key (key) is the witness's verifier key, NAME+HASH+KEY, of Ed25519
	// cosignatures. Required.
	Key string

	// Required (required) keeps hsmd from starting while the witness cannot be
	// asked. Default: false, and hsmd starts with a warning, asks again each
	// minute, and signs nothing more once it learns that its log is not the one
	// that was witnessed.
	Required bool

	Place Place
}

// Capability is one of the things that a client of hsmd may be allowed. To
// describe keys and to ask the status goes with any client block.
type Capability string

// The capabilities.
const (
	CapSign      Capability = "sign"      // sign certificates, CRLs, OCSP responses and CSRs
	CapGenerate  Capability = "generate"  // make keys, where the key's definition allows it
	CapTest      Capability = "test"      // sign a message that hsmd makes
	CapConfigure Capability = "configure" // define and forget keys, under wire_keys
	CapAudit     Capability = "audit"     // read the log of signatures
	CapApprove   Capability = "approve"   // approve what waits for approval
)

// Client is one client "name" block. A peer matches when it is the user and in
// the group that are given.
type Client struct {
	// Name is the label; it is for people and logs.
	Name string

	// User (user) is the name or number of the peer's user.
	User string

	// Group (group) is the name or number of one of the peer's groups. Of user
	// and group at least one is required.
	Group string

	// Capabilities (capabilities) are what the peer may ask. Required; may be
	// an empty list.
	Capabilities []Capability

	// Keys (keys) are names of managed keys, or "*" for all. Default: ["*"].
	Keys []string

	Place Place
}

// WireKeys is the wire_keys block: the bounds of what a client with configure
// can define. It also has to be there for keys made by internal_keys.
type WireKeys struct {
	// Libraries (libraries) are names of kms_library blocks, or "*" for any.
	// Required.
	Libraries []string

	// Tokens (tokens) are labels of tokens, or "*" for any. Default: ["*"].
	Tokens []string

	// MaxKeys (max_keys) bounds how many keys may be defined. Default: 100.
	MaxKeys int

	// Regions (regions) are those in which keys of AWS KMS may be named, or "*"
	// for any; where a definition names none, and one alone is here, it is that.
	// Endpoints (endpoints) are the URLs that may be given as endpoint. Default of
	// both: none. With regions, whoever defines a key may leave out the access
	// key, and then uses what hsmd's own credentials may use.
	Regions   []string
	Endpoints []string

	// Constraints (constraints) are laid under each of the keys.
	Constraints *Constraint

	// Approval (approval) is asked for with each of the keys, and with those of
	// internal_keys.
	Approval *Approval

	Place Place
}

// InternalKeys is the internal_keys block.
type InternalKeys struct {
	// Library (library) is the name of a kms_library block. Required.
	Library string

	// Token says which token it is.
	Token Token

	Place Place
}

func (c *HSMD) fields(b *block) {
	*c = HSMD{StateDir: DefaultStateDir, Place: b.place}
	b.str("state_dir", &c.StateDir)
	b.secret("state_key", &c.StateKey)
	b.str("audit_log", &c.AuditLog)
	b.blocks("witness", []string{"name"}, func(b *block) { c.Witnesses = append(c.Witnesses, readWitness(b)) })
	b.level("log_level", &c.LogLevel)
	b.blocks("listener", []string{"type"}, func(b *block) { readListener(b, &c.Listeners) })
	b.blocks("kms_library", []string{"type"}, func(b *block) { c.Libraries = append(c.Libraries, readLibrary(b)) })
	b.blocks("client", []string{"name"}, func(b *block) { c.Clients = append(c.Clients, readClient(b)) })
	b.single("wire_keys", func(b *block) { c.WireKeys = readWireKeys(b) })
	b.single("internal_keys", func(b *block) { c.InternalKeys = readInternalKeys(b) })
	b.blocks("approver", []string{"name"}, func(b *block) { c.Approvers = append(c.Approvers, readApprover(b)) })
	b.single("ledger", func(b *block) { c.Ledger = readLedger(b) })
	b.blocks("managed_key", []string{"type", "name"}, func(b *block) {
		if k, ok := readManagedKey(b); ok {
			c.ManagedKeys = append(c.ManagedKeys, k)
		}
	})
}

func (c *HSMD) defaults() {
	if c.AuditLog == "" {
		c.AuditLog = path.Join(c.StateDir, "audit.log")
	}
	if len(c.Listeners) == 0 {
		c.Listeners = []Listener{{Type: "unix", Address: DefaultHSMDSocket, SocketMode: DefaultSocketMode, Place: c.Place}}
	}
}

func readLibrary(b *block) Library {
	l := Library{KeyIDLength: DefaultKeyIDLength}
	if b.labels[0] != "pkcs11" {
		b.faultf("", "kms_library %q: the only type is \"pkcs11\"", b.labels[0])
	}
	b.str("name", &l.Name)
	b.str("library", &l.Path)
	b.whole("max_sessions", &l.MaxSessions, 1, 1024)
	b.whole("key_id_length", &l.KeyIDLength, 1, 255)
	b.stringMap("env", &l.Env)
	b.str("init_args", &l.InitArgs)
	b.list("paths", &l.Paths)
	b.account("user", &l.User)
	l.Place = b.read()
	b.need("name", "library")
	return l
}

func readWitness(b *block) Witness {
	w := Witness{Name: b.labels[0]}
	b.str("url", &w.URL)
	b.str("key", &w.Key)
	b.boolean("required", &w.Required)
	w.Place = b.read()
	b.need("url", "key")
	return w
}

func readClient(b *block) Client {
	c := Client{Name: b.labels[0], Keys: []string{"*"}}
	var capabilities []string
	b.account("user", &c.User)
	b.account("group", &c.Group)
	b.list("capabilities", &capabilities)
	b.list("keys", &c.Keys)
	c.Place = b.read()
	b.need("capabilities")
	c.Capabilities = make([]Capability, 0, len(capabilities))
	for _, s := range capabilities {
		c.Capabilities = append(c.Capabilities, Capability(s))
	}
	return c
}

func readWireKeys(b *block) *WireKeys {
	w := &WireKeys{Tokens: []string{"*"}, MaxKeys: 100}
	b.list("libraries", &w.Libraries)
	b.list("tokens", &w.Tokens)
	b.whole("max_keys", &w.MaxKeys, 1, 1_000_000)
	b.list("regions", &w.Regions)
	b.list("endpoints", &w.Endpoints)
	b.single("constraints", func(b *block) { w.Constraints = readConstraint(b) })
	b.single("approval", func(b *block) { w.Approval = readApproval(b) })
	w.Place = b.read()
	b.need("libraries")
	return w
}

func readInternalKeys(b *block) *InternalKeys {
	k := &InternalKeys{}
	b.str("library", &k.Library)
	k.Token.fields(b)
	k.Place = b.read()
	b.need("library")
	return k
}
