package config

// ManagedKey is one managed_key "type" "name" block: a name for exactly one key
// in a token or key service.
type ManagedKey struct {
	// Type is the first label: "pkcs11" or "awskms".
	Type string

	// Name is the second label: a-z, 0-9, ".", "_" and "-", beginning with a
	// letter or digit, at most 128 octets.
	Name string

	// AllowGenerateKey (allow_generate_key) lets the key be made at its first
	// use. Default: false.
	AllowGenerateKey bool

	// AllowReplaceKey (allow_replace_key) and AllowStoreKey (allow_store_key)
	// mean what they mean in Vault. Default: false.
	AllowReplaceKey bool
	AllowStoreKey   bool

	// AnyMount (any_mount) lets each mount of pkid use the key; otherwise the
	// mount has to list it in allowed_managed_keys. Default: false.
	AnyMount bool

	// Usages (usages) are what the key may be used for, of Vault's list;
	// without "sign" nothing is signed. Default: ["sign", "verify"].
	Usages []string

	// PKCS11 or AWSKMS says where the key is, as Type says.
	PKCS11 *PKCS11Key
	AWSKMS *AWSKMSKey

	// Constraints (constraints) narrow what the key signs.
	Constraints *Constraint

	// Approval (approval) has people approve what the key signs.
	Approval *Approval

	Place Place
}

// The PKCS#11 mechanisms that a key can be used with (PKCS#11 3.1, section
// 6.1.4, 6.1.10, 6.3.12 and 6.3.16).
const (
	MechanismRSAPKCS uint64 = 0x0001 // CKM_RSA_PKCS
	MechanismRSAPSS  uint64 = 0x000D // CKM_RSA_PKCS_PSS
	MechanismECDSA   uint64 = 0x1041 // CKM_ECDSA
	MechanismEdDSA   uint64 = 0x1057 // CKM_EDDSA
	MechanismMLDSA   uint64 = 0x001D // CKM_ML_DSA
)

// PKCS11Key locates a key on a PKCS#11 token.
type PKCS11Key struct {
	// Library (library) is the name of a kms_library block. Required.
	Library string

	// Token says which token it is.
	Token Token

	// KeyLabel (key_label) is the key's CKA_LABEL, KeyID (key_id) its CKA_ID in
	// hexadecimal, here without "0x" and in lower case. At least one is
	// required, and together they must match exactly one key. A key to be
	// generated needs a label.
	KeyLabel string
	KeyID    string

	// Mechanism (mechanism) is the CKM_… number that signs, in hexadecimal with
	// "0x" or in decimal: 0x0001 RSA PKCS#1 v1.5, 0x000D RSA-PSS, 0x001D ML-DSA,
	// 0x1041 ECDSA, 0x1057 Ed25519. Required.
	Mechanism uint64

	// KeyBits (key_bits) is 2048, 3072 or 4096 for RSA, and for ML-DSA its
	// parameter set: 44, 65 or 87. Required with allow_generate_key.
	KeyBits int

	// Curve (curve) is P256, P384 or P521 with ECDSA, required with
	// allow_generate_key; with 0x1057 it is Ed25519, which is the default.
	Curve string

	// ForceRWSession (force_rw_session) opens read-write sessions for each use.
	// Default: false.
	ForceRWSession bool

	// MaxParallel (max_parallel) bounds the key's signatures in flight. 0, the
	// default: the library's sessions bound them.
	MaxParallel int

	// GenerateMechanism (generate_mechanism) is the CKM_… number that makes the
	// key pair, where the token wants another than the usual ones: 0x000A
	// (CKM_RSA_X9_31_KEY_PAIR_GEN), or a vendor's own, such as those of FIPS 186
	// on some HSMs. Only with allow_generate_key. Default: 0x0000 for RSA, or
	// 0x000A where the token has only that; 0x1040 for ECDSA, 0x1055 for Ed25519,
	// 0x001C for ML-DSA.
	GenerateMechanism uint64

	// PublicKey (public_key) is the key pair's public half, in PEM (PUBLIC KEY
	// or CERTIFICATE), or "file:/path" of a file that has it. It is for tokens
	// that hold neither a public key nor a certificate beside the private key;
	// where they do, the two must agree. Either way the private key proves
	// itself by a test signature. Default: none.
	PublicKey string

	// Copies (copy blocks) are further tokens that hold the same key pair, which
	// hsmd balances between, and of which it goes on with the rest when one is
	// lost. See [KeyCopy].
	Copies []KeyCopy
}

// KeyCopy is one copy block inside a managed_key "pkcs11" block: a token that
// holds a copy of the key pair, by cloning, backup or wrapping with the vendor's
// tools; hsmd copies no key. It is a block in the key's own, and not a key beside
// it, because what is one key pair has one name, one set of rules and one public
// key: what is the same for all is said once, and a copy says only where it is.
// A copy whose public key differs is not used, and is an alarm in the log. A key
// that is to be made is made on the token of the managed_key block itself.
type KeyCopy struct {
	// Library (library) is the name of a kms_library block. Default: the key's.
	Library string

	// Token says which token it is; it is not the key's.
	Token Token

	// KeyLabel (key_label) and KeyID (key_id) are the key's on this token. With
	// neither: the same as on the key's own.
	KeyLabel string
	KeyID    string

	Place Place
}

// Token says which token of a library is meant and how to log in to it. Of
// TokenLabel, TokenSerial and Slot at least one is required, and together they
// must match exactly one token.
type Token struct {
	// Label (token_label) is the token's label.
	Label string

	// Serial (token_serial) is the token's serial number.
	Serial string

	// Slot (slot) is the slot's number, in decimal or with "0x".
	Slot *uint64

	// PIN (pin) is the user's PIN: "file:/path", "env:NAME", or the PIN itself,
	// which is accepted with a warning. It is handed to the token as it is, so
	// that it may be what a vendor makes of it, such as "user:password". Required
	// unless Login is "none".
	PIN Secret

	// Login (login) is who logs in to the token:
	//
	//   - "user", the default: the normal user (CKU_USER). A key that wants its
	//     PIN for each signature (CKA_ALWAYS_AUTHENTICATE) is given it.
	//   - "crypto_user": the user of Luna HSMs who may use keys and make none.
	//   - "context_specific": as "user", and each signature is given the PIN,
	//     also where the key does not say that it wants it.
	//   - "none": nobody. The token wants no login, or others see to it (nShield's
	//     preload), or it has a PIN pad of its own (CKF_PROTECTED_AUTHENTICATION_PATH),
	//     which then asks for the PIN; whoever types it has two minutes.
	Login string
}

// The ways to log in besides LoginUser, which is the same as "".
const (
	LoginUser            = "user"
	LoginCryptoUser      = "crypto_user"
	LoginContextSpecific = "context_specific"
	LoginNone            = "none"
)

// AWSKMSKey locates a key in AWS KMS.
type AWSKMSKey struct {
	// AccessKey (access_key) and SecretKey (secret_key) are credentials.
	// Default: the environment's, the profile's or the instance role's.
	AccessKey Secret
	SecretKey Secret

	// Region (region) is the region. Default: that of kms_key where it is an ARN,
	// else the environment's, else us-east-1.
	Region string

	// Endpoint (endpoint) is the API's URL, where it is not the region's own: of
	// a VPC endpoint, say. It begins with https://, but for one on this machine.
	Endpoint string

	// KMSKey (kms_key) is a key id, an ARN or "alias/…". Required; with
	// allow_generate_key an alias.
	KMSKey string

	// KeyType (key_type) is RSA, ECDSA, Ed25519, ML-DSA-44, ML-DSA-65 or
	// ML-DSA-87, in any case. Required. An RSA key signs with PKCS#1 v1.5 and with
	// PSS.
	KeyType string

	// KeyBits (key_bits) is 2048, 3072 or 4096. Required for RSA.
	KeyBits int

	// Curve (curve) is P256, P384 or P521. Required for ECDSA with
	// allow_generate_key.
	Curve string

	// RequestsPerSecond (requests_per_second) bounds the signatures that KMS is
	// asked for, 1 to 100000, by all keys of the same credentials, region and
	// endpoint together: the lowest of theirs counts. It is to stay below the
	// account's quota, which others share. Default: 500, half of what AWS gives.
	RequestsPerSecond int
}

func readManagedKey(b *block) (ManagedKey, bool) {
	k := ManagedKey{Type: b.labels[0], Name: b.labels[1], Usages: []string{"sign", "verify"}}
	b.boolean("allow_generate_key", &k.AllowGenerateKey)
	b.boolean("allow_replace_key", &k.AllowReplaceKey)
	b.boolean("allow_store_key", &k.AllowStoreKey)
	b.boolean("any_mount", &k.AnyMount)
	b.commaList("usages", &k.Usages)
	b.single("constraints", func(b *block) { k.Constraints = readConstraint(b) })
	b.single("approval", func(b *block) { k.Approval = readApproval(b) })
	switch k.Type {
	case "pkcs11":
		k.PKCS11 = &PKCS11Key{}
		k.PKCS11.fields(b)
		k.Place = b.read()
		b.need("library", "mechanism")
	case "awskms":
		k.AWSKMS = &AWSKMSKey{}
		k.AWSKMS.fields(b)
		k.Place = b.read()
		b.need("kms_key", "key_type")
	default:
		b.faultf("", "managed_key %q: the types are \"pkcs11\" and \"awskms\"", k.Type)
		return k, false
	}
	return k, true
}

func (k *PKCS11Key) fields(b *block) {
	b.str("library", &k.Library)
	k.Token.fields(b)
	b.str("key_label", &k.KeyLabel)
	b.hex("key_id", &k.KeyID)
	b.number("mechanism", &k.Mechanism)
	b.whole("key_bits", &k.KeyBits, 0, 65536)
	b.str("curve", &k.Curve)
	b.boolean("force_rw_session", &k.ForceRWSession)
	b.whole("max_parallel", &k.MaxParallel, 0, 1_000_000)
	b.number("generate_mechanism", &k.GenerateMechanism)
	b.str("public_key", &k.PublicKey)
	b.blocks("copy", nil, func(b *block) {
		var c KeyCopy
		b.str("library", &c.Library)
		c.Token.fields(b)
		b.str("key_label", &c.KeyLabel)
		b.hex("key_id", &c.KeyID)
		c.Place = b.read()
		k.Copies = append(k.Copies, c)
	})
}

func (t *Token) fields(b *block) {
	b.str("token_label", &t.Label)
	b.str("token_serial", &t.Serial)
	b.optionalNumber("slot", &t.Slot)
	b.secret("pin", &t.PIN)
	b.str("login", &t.Login)
}

func (k *AWSKMSKey) fields(b *block) {
	b.secret("access_key", &k.AccessKey)
	b.secret("secret_key", &k.SecretKey)
	b.str("region", &k.Region)
	b.str("endpoint", &k.Endpoint)
	b.str("kms_key", &k.KMSKey)
	b.str("key_type", &k.KeyType)
	b.whole("key_bits", &k.KeyBits, 0, 65536)
	b.str("curve", &k.Curve)
	b.whole("requests_per_second", &k.RequestsPerSecond, 1, 100_000)
}
