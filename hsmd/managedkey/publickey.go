package managedkey

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxPublicKey bounds the file behind a public_key, in octets.
const maxPublicKey = 64 << 10

// readPublicKey reads a public_key of the configuration, which is PEM or a
// file's path after "file:", and gives the DER of its SubjectPublicKeyInfo; nil
// for none.
func readPublicKey(text string) ([]byte, error) {
	if text == "" {
		return nil, nil
	}
	if path, ok := strings.CutPrefix(text, "file:"); ok {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		raw, err := io.ReadAll(io.LimitReader(f, maxPublicKey))
		if err != nil {
			return nil, err
		}
		text = string(raw)
	}
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("there is no PEM in it")
	}
	der := block.Bytes
	switch block.Type {
	case "CERTIFICATE":
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		der = cert.RawSubjectPublicKeyInfo
	case "PUBLIC KEY":
	default:
		return nil, fmt.Errorf("it is a %s; a PUBLIC KEY or a CERTIFICATE belongs there", block.Type)
	}
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, err
	}
	return x509.MarshalPKIXPublicKey(key) // in the one form that keys are compared in
}
