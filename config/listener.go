package config

// DefaultSocketMode is the mode of a Unix socket whose block gives none.
const DefaultSocketMode FileMode = 0o660

// Listener is one listener block: a place at which a daemon takes connections.
// hsmd has Unix sockets only.
type Listener struct {
	// Type is the label: "unix" or "tcp".
	Type string

	// Address (address) is the absolute path of a Unix socket, at most 107
	// octets, or host:port of a TCP socket. Required.
	Address string

	// SocketMode (socket_mode) is the Unix socket's mode, in octal and in
	// quotes. Default: "0660".
	SocketMode FileMode

	// SocketUser (socket_user) and SocketGroup (socket_group) own the Unix
	// socket: a name or a number. Default: the daemon's.
	SocketUser  string
	SocketGroup string

	// TLSCertFile (tls_cert_file) and TLSKeyFile (tls_key_file) are PEM files:
	// the server's certificate with its chain, and its key. Required for tcp
	// without tls_disable.
	TLSCertFile string
	TLSKeyFile  string

	// TLSDisable (tls_disable) serves plain HTTP; taken only for an address on
	// the loopback interface.
	TLSDisable bool

	// TLSClientCAFile (tls_client_ca_file) is a PEM file with the CAs of which
	// clients' certificates are let in. Default: a client may show any, or none;
	// auth/cert decides what it is good for.
	TLSClientCAFile string

	// XForwardedForAuthorizedAddrs (x_forwarded_for_authorized_addrs) are the
	// addresses, or ranges in CIDR, of proxies in front of a TCP socket: of a
	// request from there the sender is the last address of X-Forwarded-For that
	// is none of them. From anywhere else the header is not heeded. It is
	// for logs and for limits of what one sender may ask, never for rights.
	XForwardedForAuthorizedAddrs []string

	// UnauthenticatedMetricsAccess (unauthenticated_metrics_access, in a
	// telemetry block as in Vault) answers sys/metrics on this listener to
	// whoever asks. Default: false.
	UnauthenticatedMetricsAccess bool

	Place Place
}

// readListener reads one listener block; a type that does not exist is a fault
// and is left out.
func readListener(b *block, to *[]Listener) {
	l := Listener{Type: b.labels[0]}
	b.str("address", &l.Address)
	switch l.Type {
	case "unix":
		l.SocketMode = DefaultSocketMode
		b.fileMode("socket_mode", &l.SocketMode)
		b.account("socket_user", &l.SocketUser)
		b.account("socket_group", &l.SocketGroup)
	case "tcp":
		b.str("tls_cert_file", &l.TLSCertFile)
		b.str("tls_key_file", &l.TLSKeyFile)
		b.boolean("tls_disable", &l.TLSDisable)
		b.str("tls_client_ca_file", &l.TLSClientCAFile)
		b.commaList("x_forwarded_for_authorized_addrs", &l.XForwardedForAuthorizedAddrs)
		b.single("telemetry", func(b *block) {
			b.boolean("unauthenticated_metrics_access", &l.UnauthenticatedMetricsAccess)
			b.read()
		})
	default:
		b.faultf("", "listener %q: the types are \"unix\" and, for pkid, \"tcp\"", l.Type)
		return
	}
	l.Place = b.read()
	b.need("address")
	*to = append(*to, l)
}
