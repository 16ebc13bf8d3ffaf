package approval

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// Namespace is what an approver's signature is for (ssh-keygen -n), so that no
// signature made for something else is an approval.
const Namespace = "approval@hsmd"

const (
	armorBegin = "-----BEGIN SSH SIGNATURE-----"
	armorEnd   = "-----END SSH SIGNATURE-----"
	magic      = "SSHSIG"

	// longestSignature bounds an armoured signature, in octets; one of RSA-16384
	// has less.
	longestSignature = 16 << 10
)

// algorithms are those of signatures that count, by the key's type. SHA-1
// (ssh-rsa) is not among them, and no certificates.
var algorithms = map[string][]string{
	ssh.KeyAlgoED25519:   {ssh.KeyAlgoED25519},
	ssh.KeyAlgoSKED25519: {ssh.KeyAlgoSKED25519},
	ssh.KeyAlgoECDSA256:  {ssh.KeyAlgoECDSA256},
	ssh.KeyAlgoECDSA384:  {ssh.KeyAlgoECDSA384},
	ssh.KeyAlgoECDSA521:  {ssh.KeyAlgoECDSA521},
	ssh.KeyAlgoSKECDSA256: {
		ssh.KeyAlgoSKECDSA256,
	},
	ssh.KeyAlgoRSA: {ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSASHA512},
}

// sshsig is a signature as OpenSSH's PROTOCOL.sshsig has it.
type sshsig struct {
	Version       uint32
	PublicKey     string
	Namespace     string
	Reserved      string
	HashAlgorithm string
	Signature     string
}

// signedData is what the key signs.
type signedData struct {
	Namespace     string
	Reserved      string
	HashAlgorithm string
	Hash          string
}

// Signer is the key that made a signature. Verified says that it is a security
// key that asked for a PIN or a finger.
type Signer struct {
	ssh.PublicKey
	Verified bool
}

// VerifySSH checks an armoured SSH signature of a message, made in Namespace,
// and tells who made it. Whose key that is, and whether it counts, is not its
// matter.
func VerifySSH(armored string, message []byte) (*Signer, error) {
	blob, err := unarmor(armored)
	if err != nil {
		return nil, err
	}
	rest, found := bytes.CutPrefix(blob, []byte(magic))
	if !found {
		return nil, errors.New("not an SSH signature: it does not begin with SSHSIG")
	}
	var s sshsig
	if err := ssh.Unmarshal(rest, &s); err != nil { // refuses what is left over
		return nil, fmt.Errorf("not an SSH signature: %w", err)
	}
	switch {
	case s.Version != 1:
		return nil, fmt.Errorf("an SSH signature of version %d; only 1 is known", s.Version)
	case s.Namespace != Namespace:
		return nil, fmt.Errorf("the signature is for namespace %q, not %q (ssh-keygen -Y sign -n %s)", s.Namespace, Namespace, Namespace)
	}
	hashed, err := hash(s.HashAlgorithm, message)
	if err != nil {
		return nil, err
	}
	key, err := ssh.ParsePublicKey([]byte(s.PublicKey))
	if err != nil {
		return nil, fmt.Errorf("the signature's public key: %w", err)
	}
	var signature ssh.Signature
	if err := ssh.Unmarshal([]byte(s.Signature), &signature); err != nil {
		return nil, fmt.Errorf("the signature's own part: %w", err)
	}
	if !slices.Contains(algorithms[key.Type()], signature.Format) {
		return nil, fmt.Errorf("a signature %q by a key %q does not count", signature.Format, key.Type())
	}
	by := &Signer{PublicKey: key}
	if by.Verified, err = present(key, &signature); err != nil {
		return nil, err
	}
	signed := append([]byte(magic), ssh.Marshal(signedData{s.Namespace, s.Reserved, s.HashAlgorithm, string(hashed)})...)
	if err := key.Verify(signed, &signature); err != nil {
		return nil, errors.New("the signature is not one of this text by the key that it names")
	}
	return by, nil
}

// present holds that whoever has a security key touched it, flag 1 of the
// signature's (PROTOCOL.u2f): what a key signs without a touch can be had by a
// program alone. verified is flag 4.
func present(key ssh.PublicKey, signature *ssh.Signature) (verified bool, err error) {
	if !strings.HasPrefix(key.Type(), "sk-") {
		if len(signature.Rest) > 0 {
			return false, errors.New("the signature has something after its end")
		}
		return false, nil
	}
	if len(signature.Rest) != 5 {
		return false, errors.New("the signature of a security key lacks its flags and counter")
	}
	if signature.Rest[0]&1 == 0 {
		return false, errors.New("the security key was not touched (no-touch-required)")
	}
	return signature.Rest[0]&4 != 0, nil
}

func hash(algorithm string, message []byte) ([]byte, error) {
	switch algorithm {
	case "sha256":
		sum := sha256.Sum256(message)
		return sum[:], nil
	case "sha512":
		sum := sha512.Sum512(message)
		return sum[:], nil
	}
	return nil, fmt.Errorf("an SSH signature over a hash %q; only sha256 and sha512 are known", algorithm)
}

func unarmor(armored string) ([]byte, error) {
	if len(armored) > longestSignature {
		return nil, fmt.Errorf("the signature is longer than %d octets", longestSignature)
	}
	text := strings.ReplaceAll(strings.TrimSpace(armored), "\r\n", "\n")
	text, found := strings.CutPrefix(text, armorBegin+"\n")
	if !found {
		return nil, fmt.Errorf("no %q in the first line; ssh-keygen -Y sign writes it", armorBegin)
	}
	text, found = strings.CutSuffix(text, "\n"+armorEnd)
	if !found {
		return nil, fmt.Errorf("no %q in the last line", armorEnd)
	}
	blob, err := base64.StdEncoding.Strict().DecodeString(strings.ReplaceAll(text, "\n", ""))
	if err != nil {
		return nil, fmt.Errorf("the signature is not base64: %w", err)
	}
	return blob, nil
}
