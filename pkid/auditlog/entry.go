package auditlog

import "time"

// Entry is one line, in the words of Vault's audit devices.
type Entry struct {
	Time     time.Time `json:"time"`
	Type     string    `json:"type"` // "request" or "response"
	Auth     *Auth     `json:"auth,omitempty"`
	Request  *Request  `json:"request"`
	Response *Response `json:"response,omitempty"`
	Error    string    `json:"error,omitempty"`
}

// Auth is who asked, or in a Response the token that was given.
type Auth struct {
	ClientToken   string            `json:"client_token,omitempty"` // an HMAC, as is Accessor
	Accessor      string            `json:"accessor,omitempty"`
	DisplayName   string            `json:"display_name,omitempty"`
	Policies      []string          `json:"policies,omitempty"`
	TokenPolicies []string          `json:"token_policies,omitempty"`
	PolicyResults *PolicyResults    `json:"policy_results,omitempty"`
	Metadata      map[string]string `json:"metadata,omitempty"` // HMACs
	TokenType     string            `json:"token_type,omitempty"`
	TokenTTL      int64             `json:"token_ttl,omitempty"` // seconds
}

// PolicyResults say whether the caller might.
type PolicyResults struct {
	Allowed bool `json:"allowed"`
}

// Request is what was asked.
type Request struct {
	ID            string         `json:"id"`
	Operation     string         `json:"operation"`
	Path          string         `json:"path"`
	MountPoint    string         `json:"mount_point,omitempty"`
	MountType     string         `json:"mount_type,omitempty"`
	ClientToken   string         `json:"client_token,omitempty"` // an HMAC
	Data          map[string]any `json:"data,omitempty"`
	RemoteAddress string         `json:"remote_address,omitempty"`
	RemotePort    int            `json:"remote_port,omitempty"`
	Peer          string         `json:"peer,omitempty"`     // behind a Unix socket
	WrapTTL       int64          `json:"wrap_ttl,omitempty"` // seconds
}

// Response is what was answered. Data is left out where an answer is not JSON.
type Response struct {
	Status    int            `json:"status,omitempty"` // of HTTP
	Auth      *Auth          `json:"auth,omitempty"`
	MountType string         `json:"mount_type,omitempty"`
	Data      map[string]any `json:"data,omitempty"`
	Warnings  []string       `json:"warnings,omitempty"`
	WrapInfo  *WrapInfo      `json:"wrap_info,omitempty"`
}

// WrapInfo is where an answer is kept that was not given.
type WrapInfo struct {
	Token           string    `json:"token"` // an HMAC, as are the accessors
	Accessor        string    `json:"accessor"`
	WrappedAccessor string    `json:"wrapped_accessor,omitempty"`
	TTL             int64     `json:"ttl"` // seconds
	CreationTime    time.Time `json:"creation_time"`
	CreationPath    string    `json:"creation_path"`
}
