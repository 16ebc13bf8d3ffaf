package approval_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/hsmpki/hsmpki/hsmd/approval"
)

// person has a key that ssh-keygen made.
type person struct{ name, file string }

func newPerson(t *testing.T, name, kind string) *person {
	t.Helper()
	p := &person{name, filepath.Join(t.TempDir(), name)}
	if out, err := exec.Command("ssh-keygen", "-q", "-t", kind, "-N", "", "-C", name, "-f", p.file).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v: %s", err, out)
	}
	return p
}

func (p *person) keys() []string {
	text, err := os.ReadFile(p.file + ".pub")
	if err != nil {
		panic(err)
	}
	return []string{string(text)}
}

func (p *person) sign(t *testing.T, text string) string {
	t.Helper()
	return p.signFor(t, approval.Namespace, text)
}

func (p *person) signFor(t *testing.T, namespace, text string, more ...string) string {
	t.Helper()
	c := exec.Command("ssh-keygen", append([]string{"-q", "-Y", "sign", "-n", namespace, "-f", p.file}, more...)...)
	c.Stdin = strings.NewReader(text)
	out, err := c.Output()
	if err != nil {
		t.Fatalf("ssh-keygen -Y sign: %v", err)
	}
	return string(out)
}

func TestSignaturesOfOpenSSH(t *testing.T) {
	for _, kind := range []string{"ed25519", "ecdsa", "rsa"} {
		p := newPerson(t, kind, kind)
		for _, hash := range []string{"sha256", "sha512"} {
			signature := p.signFor(t, approval.Namespace, "text\n", "-O", "hashalg="+hash)
			by, err := approval.VerifySSH(signature, []byte("text\n"))
			if err != nil {
				t.Errorf("%s, %s: %v", kind, hash, err)
				continue
			}
			if line := string(ssh.MarshalAuthorizedKey(by.PublicKey)); !strings.HasPrefix(p.keys()[0], strings.TrimSpace(line)) {
				t.Errorf("%s: by %s", kind, line)
			}
			if _, err := approval.VerifySSH(signature, []byte("Text\n")); err == nil {
				t.Errorf("%s: it counts for another text", kind)
			}
			if _, err := approval.VerifySSH(strings.ReplaceAll(signature, "\n", "\r\n"), []byte("text\n")); err != nil {
				t.Errorf("%s: with CR LF: %v", kind, err)
			}
		}
		if _, err := approval.VerifySSH(p.signFor(t, "file", "text\n"), []byte("text\n")); err == nil || !strings.Contains(err.Error(), "namespace") {
			t.Errorf("%s: of another namespace: %v", kind, err)
		}
	}
}

// sign makes what a security key would: an sk-ssh-ed25519 signature with flags.
func sign(t *testing.T, key ed25519.PrivateKey, flags byte, text string) string {
	t.Helper()
	const application = "ssh:"
	public := ssh.Marshal(struct {
		Type, Key, Application string
	}{ssh.KeyAlgoSKED25519, string(key.Public().(ed25519.PublicKey)), application})
	digest := sha256.Sum256([]byte(text))
	signed := append([]byte("SSHSIG"), ssh.Marshal(struct{ Namespace, Reserved, Hash, Digest string }{approval.Namespace, "", "sha256", string(digest[:])})...)
	app, message, counter := sha256.Sum256([]byte(application)), sha256.Sum256(signed), []byte{0, 0, 0, 9}
	var inner bytes.Buffer
	inner.Write(app[:])
	inner.WriteByte(flags)
	inner.Write(counter)
	inner.Write(message[:])
	blob := ssh.Marshal(struct {
		Format, Blob string
		Flags        byte
		Counter      uint32
	}{ssh.KeyAlgoSKED25519, string(ed25519.Sign(key, inner.Bytes())), flags, 9})
	whole := append([]byte("SSHSIG"), ssh.Marshal(struct {
		Version                        uint32
		Key, Namespace, Reserved, Hash string
		Signature                      string
	}{1, string(public), approval.Namespace, "", "sha256", string(blob)})...)
	return string(pem.EncodeToMemory(&pem.Block{Type: "SSH SIGNATURE", Bytes: whole}))
}

func TestSecurityKeys(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	line := "sk-ssh-ed25519@openssh.com " + base64.StdEncoding.EncodeToString(ssh.Marshal(struct{ Type, Key, Application string }{ssh.KeyAlgoSKED25519, string(public), "ssh:"}))
	by, err := approval.VerifySSH(sign(t, private, 1, "text"), []byte("text"))
	if err != nil || by.Verified {
		t.Fatalf("touched: %v", err)
	}
	if by, err = approval.VerifySSH(sign(t, private, 5, "text"), []byte("text")); err != nil || !by.Verified {
		t.Fatalf("touched and verified: %v", err)
	}
	if _, err := approval.VerifySSH(sign(t, private, 4, "text"), []byte("text")); err == nil || !strings.Contains(err.Error(), "touched") {
		t.Errorf("not touched: %v", err)
	}

	d := newDesk(t)
	strict, err := approval.NewApprover("carol", []string{"verify-required " + line})
	if err != nil {
		t.Fatal(err)
	}
	if d.rule, err = approval.NewRule(approval.Rule{Quorum: 1, Wait: 1e9 * 60, Approvers: []*approval.Approver{strict}}); err != nil {
		t.Fatal(err)
	}
	s := d.ask(t, request("x"))
	if err := d.approve(s.ID, sign(t, private, 1, s.Statement())); err == nil {
		t.Error("a touch is enough where a PIN is asked for")
	}
	if err := d.approve(s.ID, sign(t, private, 5, s.Statement())); err != nil {
		t.Error(err)
	}
}

func TestApproversThatAreNone(t *testing.T) {
	p, q := newPerson(t, "p", "ed25519"), newPerson(t, "q", "ed25519")
	small := newPerson(t, "r", "ed25519")
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "rsa", "-b", "1024", "-N", "", "-f", small.file+"1").CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v: %s", err, out)
	}
	small.file += "1"
	for words, lines := range map[string][]string{
		"has no keys":       {},
		"no SSH public":     {"ssh-ed25519 nonsense"},
		"of 1024 bits":      small.keys(),
		"more than one":     {p.keys()[0] + q.keys()[0]},
		"verify-required":   {"verify-required " + p.keys()[0]},
		"option \"no-pty\"": {"no-pty " + p.keys()[0]},
	} {
		if _, err := approval.NewApprover("x", lines); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", words, err)
		}
	}
	a, _ := approval.NewApprover("a", p.keys())
	b, _ := approval.NewApprover("b", p.keys())
	for words, r := range map[string]approval.Rule{
		"same key":         {Quorum: 2, Wait: 1, Approvers: []*approval.Approver{a, b}},
		"there are 1":      {Quorum: 2, Wait: 1, Approvers: []*approval.Approver{a}},
		"at least 1":       {Wait: 1, Approvers: []*approval.Approver{a}},
		"longer than noth": {Quorum: 1, Approvers: []*approval.Approver{a}},
	} {
		if _, err := approval.NewRule(r); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", words, err)
		}
	}
}

func FuzzVerifySSH(f *testing.F) {
	public, private, _ := ed25519.GenerateKey(rand.Reader)
	_ = public
	f.Add("-----BEGIN SSH SIGNATURE-----\nU1NIU0lH\n-----END SSH SIGNATURE-----")
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(pem.EncodeToMemory(&pem.Block{Type: "SSH SIGNATURE", Bytes: append([]byte("SSHSIG\x00\x00\x00\x01"), signer.PublicKey().Marshal()...)})))
	f.Fuzz(func(t *testing.T, armored string) {
		if _, err := approval.VerifySSH(armored, []byte("text that was never signed")); err == nil {
			t.Error("a signature came from nowhere")
		}
	})
}
