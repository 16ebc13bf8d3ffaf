package wire

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
)

// Service is what can be asked of a key service. It is spoken at both walls:
// between pkid and hsmd, and between hsmd and its workers. [Client] is a remote
// one, [Serve] offers one to a peer.
//
// Every error that a Service returns is an [*Error] or is treated as
// [Internal]. Methods return soon after ctx is done. Implementations are safe
// for concurrent use.
type Service interface {
	// Describe tells what is known of one key or of all.
	Describe(ctx context.Context, req *DescribeRequest) (*DescribeResponse, error)
	// Generate makes a key pair in the backend, or answers the one that an
	// earlier call with the same name or id has made.
	Generate(ctx context.Context, req *GenerateRequest) (*GenerateResponse, error)
	// Sign signs a message. It is safe to repeat.
	Sign(ctx context.Context, req *SignRequest) (*SignResponse, error)
	// Test signs a message that the service makes, and verifies it.
	Test(ctx context.Context, req *TestRequest) (*TestResponse, error)
	// Configure defines a managed key. It never touches the token.
	Configure(ctx context.Context, req *ConfigureRequest) (*ConfigureResponse, error)
	// Forget drops a definition made by Configure or Generate. The key in the
	// token stays.
	Forget(ctx context.Context, req *ForgetRequest) (*ForgetResponse, error)
	// Status tells how the service and its libraries and tokens are.
	Status(ctx context.Context, req *StatusRequest) (*StatusResponse, error)
}

// Definition says where a managed key is and how it may be used. It travels in
// Configure (with the PIN) and in Describe (without).
type Definition struct {
	Type             string   `cbor:"1,keyasint"`           // "pkcs11" or "awskms"
	Name             string   `cbor:"2,keyasint"`           // lower case, unique over all types
	UUID             string   `cbor:"3,keyasint,omitempty"` // given by hsmd; survives overwriting
	AllowGenerateKey bool     `cbor:"4,keyasint,omitempty"`
	AllowReplaceKey  bool     `cbor:"5,keyasint,omitempty"`
	AllowStoreKey    bool     `cbor:"6,keyasint,omitempty"`
	AnyMount         bool     `cbor:"7,keyasint,omitempty"`
	Usages           []string `cbor:"8,keyasint,omitempty"` // "sign", "verify", …

	PKCS11 *PKCS11Definition `cbor:"9,keyasint,omitempty"`
	AWSKMS *AWSKMSDefinition `cbor:"10,keyasint,omitempty"`
}

// PKCS11Definition locates a key on a PKCS#11 token. Of TokenLabel,
// TokenSerial and Slot at least one is set, and together they must match
// exactly one token; of KeyLabel and KeyID at least one, and they must match
// exactly one private key.
type PKCS11Definition struct {
	Library        string  `cbor:"1,keyasint"` // name of a kms_library stanza
	TokenLabel     string  `cbor:"2,keyasint,omitempty"`
	TokenSerial    string  `cbor:"3,keyasint,omitempty"`
	Slot           *uint64 `cbor:"4,keyasint,omitempty"`
	PIN            string  `cbor:"5,keyasint,omitempty"` // never in an answer
	Login          string  `cbor:"6,keyasint,omitempty"` // "" for user, "crypto_user", "context_specific" or "none"
	KeyLabel       string  `cbor:"7,keyasint,omitempty"` // CKA_LABEL
	KeyID          string  `cbor:"8,keyasint,omitempty"` // CKA_ID, hexadecimal
	Mechanism      uint64  `cbor:"9,keyasint"`           // CKM_…: 0x1, 0xD, 0x1D, 0x1041, 0x1057
	KeyBits        int     `cbor:"10,keyasint,omitempty"`
	Curve          string  `cbor:"11,keyasint,omitempty"` // P256, P384, P521, Ed25519
	ForceRWSession bool    `cbor:"12,keyasint,omitempty"`
	MaxParallel    int     `cbor:"13,keyasint,omitempty"` // 0: bounded by the sessions only

	GenerateMechanism uint64 `cbor:"14,keyasint,omitempty"` // CKM_… that makes the key pair; 0: the usual one
	PublicKey         []byte `cbor:"15,keyasint,omitempty"` // SubjectPublicKeyInfo, where the token has none
}

// Selector is how the definition says its token, for people.
func (d *PKCS11Definition) Selector() string {
	var words []string
	if d.TokenLabel != "" {
		words = append(words, fmt.Sprintf("label %q", d.TokenLabel))
	}
	if d.TokenSerial != "" {
		words = append(words, fmt.Sprintf("serial %q", d.TokenSerial))
	}
	if d.Slot != nil {
		words = append(words, fmt.Sprintf("slot %d", *d.Slot))
	}
	return strings.Join(words, " and ")
}

// AWSKMSDefinition locates a key in AWS KMS. Without an access key the
// credentials are those that hsmd finds in its surroundings.
type AWSKMSDefinition struct {
	AccessKey string `cbor:"1,keyasint,omitempty"` // never in an answer
	SecretKey string `cbor:"2,keyasint,omitempty"` // never in an answer
	Region    string `cbor:"3,keyasint,omitempty"`
	Endpoint  string `cbor:"4,keyasint,omitempty"` // URL; empty: the region's own
	KMSKey    string `cbor:"5,keyasint"`           // key id, ARN or "alias/…"
	KeyType   string `cbor:"6,keyasint"`           // RSA, ECDSA, Ed25519, ML-DSA-44, ML-DSA-65, ML-DSA-87
	KeyBits   int    `cbor:"7,keyasint,omitempty"`
	Curve     string `cbor:"8,keyasint,omitempty"` // P256, P384, P521

	RequestsPerSecond int `cbor:"9,keyasint,omitempty"` // signatures, with all keys of these credentials; 0: 500
}

// Source says who defined a key.
type Source string

// The sources of a definition.
const (
	SourceConfig   Source = "config"   // hsmd's HCL
	SourceWire     Source = "wire"     // Configure
	SourceInternal Source = "internal" // Generate without a name
)

// DescribeRequest asks for one key by name, or with an empty name for all keys
// that the caller may use. With Find the backend is asked for keys whose public
// key is not known yet; this may log in to the token. Issuer, the DER of a Name,
// asks with one key for the number of the last CRL that was signed under it.
type DescribeRequest struct {
	Key    string `cbor:"1,keyasint,omitempty"`
	Find   bool   `cbor:"2,keyasint,omitempty"`
	Issuer []byte `cbor:"3,keyasint,omitempty"`
}

// DescribeResponse lists keys in order of name.
type DescribeResponse struct {
	Keys []KeyInfo `cbor:"1,keyasint"`
}

// KeyInfo is what is known of one key. PublicKey is the DER of its
// SubjectPublicKeyInfo, and empty as long as the key has not been looked for or
// does not exist. Fault says why a look-up failed; a key that simply does not
// exist yet has an UnknownKey fault.
type KeyInfo struct {
	Definition Definition        `cbor:"1,keyasint"`
	Source     Source            `cbor:"2,keyasint"`
	PublicKey  []byte            `cbor:"3,keyasint,omitempty"`
	Schemes    []SignatureScheme `cbor:"4,keyasint,omitempty"`
	Fault      *Fault            `cbor:"5,keyasint,omitempty"`
	Hashed     []SignatureScheme `cbor:"6,keyasint,omitempty"` // a worker's word to hsmd: the token hashes, and wants the message
	Copies     []CopyInfo        `cbor:"7,keyasint,omitempty"` // where the key pair is on several tokens
	CRLNumber  uint64            `cbor:"8,keyasint,omitempty"` // the last one under DescribeRequest.Issuer; 0: none
}

// CopyInfo is one of the tokens that hold a key pair, and how it is. Fault says
// why it is not used; without one it is, or has not been looked for.
type CopyInfo struct {
	Library     string  `cbor:"1,keyasint"`
	TokenLabel  string  `cbor:"2,keyasint,omitempty"`
	TokenSerial string  `cbor:"3,keyasint,omitempty"`
	Slot        *uint64 `cbor:"4,keyasint,omitempty"`
	KeyLabel    string  `cbor:"5,keyasint,omitempty"`
	KeyID       string  `cbor:"6,keyasint,omitempty"`
	Found       bool    `cbor:"7,keyasint,omitempty"`
	UnderWay    int     `cbor:"8,keyasint,omitempty"` // signatures
	Fault       *Fault  `cbor:"9,keyasint,omitempty"`
	Since       int64   `cbor:"10,keyasint,omitempty"` // of Fault, seconds since 1970
}

// GenerateRequest makes the key of the definition named Key, or, with an empty
// Key, a new key on the token of hsmd's internal_keys, of type Type. ID is
// chosen by the caller (1 to 64 of a-z, 0-9 and "-"); a new internal key's name
// and CKA_LABEL end in it.
//
// With Responder no key is made on a token: hsmd answers the P-256 key of the
// OCSP responder that belongs to the key Key, which is in hsmd's memory alone
// and signs nothing but OCSP responses. hsmd does not ask it of its workers.
type GenerateRequest struct {
	Key       string  `cbor:"1,keyasint,omitempty"`
	ID        string  `cbor:"2,keyasint"`
	Type      KeyType `cbor:"3,keyasint,omitempty"`
	Context   string  `cbor:"4,keyasint,omitempty"`
	Responder bool    `cbor:"5,keyasint,omitempty"`
}

// GenerateResponse describes the key; with Responder, Key has the responder's
// public key and scheme beside Key's definition. Created is false where it was
// there.
type GenerateResponse struct {
	Key     KeyInfo `cbor:"1,keyasint"`
	Created bool    `cbor:"2,keyasint,omitempty"`
}

// SignRequest asks for a signature over a message. The message is either in
// Message, or, when it is long, is read from Parts, which [Client] sends in
// parts and [Serve] hands to the service as they come.
//
// Digest instead of a message is what hsmd sends its workers; hsmd refuses it
// from its own clients.
//
// SPKI says which key pair is meant: Key's own, or that of Key's OCSP responder.
type SignRequest struct {
	Key     string          `cbor:"1,keyasint"`
	SPKI    []byte          `cbor:"2,keyasint"` // SHA-256 of the SubjectPublicKeyInfo, 32 bytes
	Scheme  SignatureScheme `cbor:"3,keyasint"`
	Message []byte          `cbor:"4,keyasint,omitempty"`
	Digest  []byte          `cbor:"5,keyasint,omitempty"`
	Context string          `cbor:"6,keyasint,omitempty"` // mount and request id, for the log
	NoWait  bool            `cbor:"7,keyasint,omitempty"` // what needs approval is refused, and not kept
	// Approval is the ID of the approval that the same message waited for before:
	// another message that needs approval is refused then, and not kept.
	Approval string `cbor:"8,keyasint,omitempty"`

	Parts io.Reader `cbor:"-"`
}

// SignResponse carries the signature as X.509 does (see [SignatureScheme]).
type SignResponse struct {
	Signature []byte `cbor:"1,keyasint"`
}

// TestRequest asks for a test signature; Scheme 0 takes the key's first.
type TestRequest struct {
	Key     string          `cbor:"1,keyasint"`
	Scheme  SignatureScheme `cbor:"2,keyasint,omitempty"`
	Context string          `cbor:"3,keyasint,omitempty"`
}

// TestResponse has what was signed: 64 spaces, a label, NUL and random octets.
type TestResponse struct {
	Scheme    SignatureScheme `cbor:"1,keyasint"`
	Message   []byte          `cbor:"2,keyasint"`
	Signature []byte          `cbor:"3,keyasint"`
}

// ConfigureRequest defines Definition.Name, replacing a definition made over
// wire before. Worker is hsmd's word to its workers; hsmd refuses it from its
// own clients.
type ConfigureRequest struct {
	Definition Definition    `cbor:"1,keyasint"`
	Worker     *WorkerConfig `cbor:"2,keyasint,omitempty"`
}

// WorkerConfig is what a worker must know besides the definition.
type WorkerConfig struct {
	Library     string    `cbor:"1,keyasint"`           // path of the shared object
	InitArgs    string    `cbor:"2,keyasint,omitempty"` // pReserved of C_Initialize
	MaxSessions int       `cbor:"3,keyasint,omitempty"` // 0: what the token allows, at most 32
	FromWire    bool      `cbor:"4,keyasint,omitempty"` // the PIN came over wire
	RefusalKey  []byte    `cbor:"5,keyasint,omitempty"` // HMAC key of Refusals
	Refusals    []Refusal `cbor:"6,keyasint,omitempty"` // PINs that tokens of this library have refused
	Handle      string    `cbor:"7,keyasint,omitempty"` // what requests to the worker name the definition by; empty: its name
	KeyIDLength int       `cbor:"8,keyasint,omitempty"` // octets of the CKA_ID of a new key; 0: 20
}

// Handle is what requests to a worker name the definition by. Definitions that
// follow each other under one name have a handle each, so that requests under
// way go on with the one that they began with.
func (r *ConfigureRequest) Handle() string {
	if r.Worker != nil && r.Worker.Handle != "" {
		return r.Worker.Handle
	}
	return r.Definition.Name
}

// Refusal remembers a PIN that a token refused, as an HMAC-SHA-256 under
// RefusalKey over library path, token serial and PIN.
type Refusal struct {
	MAC         []byte `cbor:"1,keyasint"`
	TokenSerial string `cbor:"2,keyasint"`
	At          int64  `cbor:"3,keyasint"` // seconds since 1970
	FromWire    bool   `cbor:"4,keyasint,omitempty"`
}

// ConfigureResponse gives the UUID.
type ConfigureResponse struct {
	UUID string `cbor:"1,keyasint"`
}

// ForgetRequest names the definition to drop.
type ForgetRequest struct {
	Key string `cbor:"1,keyasint"`
}

// ForgetResponse is empty.
type ForgetResponse struct{}

// StatusRequest asks how the service is; with Numbers, what it counts, too.
type StatusRequest struct {
	Numbers bool `cbor:"1,keyasint,omitempty"`
}

// StatusResponse describes the service. Tokens are all that the libraries show,
// with or without a key defined on them; reading them needs no login.
type StatusResponse struct {
	Version   string          `cbor:"1,keyasint"`
	Started   int64           `cbor:"2,keyasint"` // seconds since 1970
	Libraries []LibraryStatus `cbor:"3,keyasint,omitempty"`
	Refused   []Refusal       `cbor:"4,keyasint,omitempty"` // a worker's word to hsmd: refusals since it started
	Copies    []KeyCopies     `cbor:"5,keyasint,omitempty"` // of keys on several tokens
	Numbers   []Number        `cbor:"6,keyasint,omitempty"` // where they were asked for; not from a worker
}

// KeyCopies names a key that is on several tokens.
type KeyCopies struct {
	Key    string     `cbor:"1,keyasint"`
	Copies []CopyInfo `cbor:"2,keyasint"`
}

// LibraryStatus is the state of one PKCS#11 library and its tokens.
type LibraryStatus struct {
	Name   string        `cbor:"1,keyasint"`
	Path   string        `cbor:"2,keyasint"`
	PID    int           `cbor:"3,keyasint,omitempty"` // the worker's
	Fault  *Fault        `cbor:"4,keyasint,omitempty"`
	Tokens []TokenStatus `cbor:"5,keyasint,omitempty"`

	// Away are the tokens that requests are kept off, as definitions select them.
	// Not all of them are in Tokens, and not of all in Tokens can it be told.
	Away []BreakerStatus `cbor:"6,keyasint,omitempty"`
}

// BreakerStatus says why requests for a token are refused at once. "half-open"
// is when the next request may see whether it is back.
type BreakerStatus struct {
	Token string `cbor:"1,keyasint"` // label, serial and slot as in the definitions
	State string `cbor:"2,keyasint"` // "open" or "half-open"
	Since int64  `cbor:"3,keyasint"` // seconds since 1970
	Fault *Fault `cbor:"4,keyasint,omitempty"`
}

// TokenStatus is one token as its library shows it.
type TokenStatus struct {
	Slot     uint64   `cbor:"1,keyasint"`
	Label    string   `cbor:"2,keyasint"`
	Serial   string   `cbor:"3,keyasint"`
	Model    string   `cbor:"4,keyasint,omitempty"`
	LoggedIn bool     `cbor:"5,keyasint,omitempty"`
	Sessions int      `cbor:"6,keyasint,omitempty"` // open now, ours
	Flags    []string `cbor:"7,keyasint,omitempty"` // "user_pin_final_try", "user_pin_locked", …
	Keys     []string `cbor:"8,keyasint,omitempty"` // CKA_LABEL or hex CKA_ID of private keys, where logged in
}

// Fault is an [Error] inside an answer.
type Fault struct {
	Code             Code   `cbor:"1,keyasint"`
	Message          string `cbor:"2,keyasint,omitempty"`
	RetryAfterMillis int64  `cbor:"3,keyasint,omitempty"`
	ID               string `cbor:"4,keyasint,omitempty"` // of what waits for approval
	Until            int64  `cbor:"5,keyasint,omitempty"` // when that ends, seconds since 1970
}

// Err gives the fault as an error, nil for nil.
func (f *Fault) Err() error {
	if f == nil {
		return nil
	}
	e := &Error{Code: f.Code, Message: f.Message, RetryAfter: time.Duration(f.RetryAfterMillis) * time.Millisecond, ID: clean(f.ID)}
	if f.Until != 0 {
		e.Until = time.Unix(f.Until, 0).UTC()
	}
	return e
}

// FaultOf turns an error into a Fault, nil for nil. Its words may be those of a
// vendor's library or of a stranger's server, and are made fit to be sent.
func FaultOf(err error) *Fault {
	e := AsError(err)
	if e == nil {
		return nil
	}
	f := &Fault{Code: e.Code, Message: clean(e.Message), RetryAfterMillis: e.RetryAfter.Milliseconds(), ID: clean(e.ID)}
	if !e.Until.IsZero() {
		f.Until = e.Until.Unix()
	}
	return f
}
