package bench_test

import (
	"crypto"
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/miekg/pkcs11"
)

// direct uses a token in this process, the way a program without hsmd would:
// one session for each caller, handles looked up once.
type direct struct {
	ctx      *pkcs11.Ctx
	sessions []pkcs11.SessionHandle
	key      pkcs11.ObjectHandle
	kind     string
}

// openDirect loads the module and logs in once.
func openDirect(b *testing.B, module, token, pin, label, kind string, callers int) *direct {
	b.Helper()
	d := &direct{ctx: pkcs11.New(module), kind: kind}
	if d.ctx == nil {
		b.Fatalf("cannot load %s", module)
	}
	check := func(err error) {
		if err != nil {
			b.Helper()
			b.Fatalf("%s: %v", module, err)
		}
	}
	if err := d.ctx.Initialize(); err != pkcs11.Error(pkcs11.CKR_CRYPTOKI_ALREADY_INITIALIZED) {
		check(err)
	}
	slots, err := d.ctx.GetSlotList(true)
	check(err)
	slot, found := uint(0), false
	for _, s := range slots {
		if info, err := d.ctx.GetTokenInfo(s); err == nil && info.Label == token {
			slot, found = s, true
		}
	}
	if !found {
		b.Fatalf("%s shows no token %q", module, token)
	}
	for range callers {
		s, err := d.ctx.OpenSession(slot, pkcs11.CKF_SERIAL_SESSION)
		check(err)
		d.sessions = append(d.sessions, s)
	}
	if err := d.ctx.Login(d.sessions[0], pkcs11.CKU_USER, pin); err != pkcs11.Error(pkcs11.CKR_USER_ALREADY_LOGGED_IN) {
		check(err)
	}
	check(d.ctx.FindObjectsInit(d.sessions[0], []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PRIVATE_KEY), pkcs11.NewAttribute(pkcs11.CKA_LABEL, label),
	}))
	handles, _, err := d.ctx.FindObjects(d.sessions[0], 2)
	check(err)
	check(d.ctx.FindObjectsFinal(d.sessions[0]))
	if len(handles) != 1 {
		b.Fatalf("%s: %d keys are labelled %q", module, len(handles), label)
	}
	d.key = handles[0]
	return d
}

// sha256Info is the DigestInfo that CKM_RSA_PKCS wants before a SHA-256 hash
// (RFC 8017, section 9.2, note 1).
var sha256Info = []byte{0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20}

func (d *direct) sign(caller int, message []byte) error {
	digest := sha256.Sum256(message)
	mechanism, input := uint(pkcs11.CKM_ECDSA), digest[:]
	if d.kind == "RSA-2048" {
		mechanism, input = pkcs11.CKM_RSA_PKCS, append(sha256Info[:len(sha256Info):len(sha256Info)], digest[:]...)
	}
	session := d.sessions[caller]
	if err := d.ctx.SignInit(session, []*pkcs11.Mechanism{pkcs11.NewMechanism(mechanism, nil)}, d.key); err != nil {
		return fmt.Errorf("C_SignInit: %w", err)
	}
	signature, err := d.ctx.Sign(session, input)
	if err == nil && len(signature) < crypto.SHA256.Size() {
		err = fmt.Errorf("a signature of %d bytes", len(signature))
	}
	return err
}

// close gives the sessions back; the library stays, as it does in a daemon.
func (d *direct) close() {
	for _, s := range d.sessions {
		_ = d.ctx.CloseSession(s)
	}
}
