package cli

import (
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
)

// States of what CRLs have revoked.
const (
	notRevoked   = "not revoked here"
	revokedAgain = "revoked again"
)

// revocation takes down what a line says that a CRL is the first to revoke.
func (r *reconciliation) revocation(l *signatureLine) error {
	for _, octets := range l.Serials {
		serial, err := colons(octets)
		if err != nil {
			return fail("line %d: serial number %q: %v", l.Seq, octets, err)
		}
		if !r.ended[serial] {
			r.revoked = append(r.revoked, &unrecorded{Line: l.Seq, Time: l.Time, Serial: serial, State: notRevoked})
		}
	}
	return nil
}

// colons writes a serial number, contents octets in hexadecimal, as the API does.
func colons(octets string) (string, error) {
	raw, err := hex.DecodeString(octets)
	if err != nil {
		return "", err
	}
	if len(raw) > 1 && raw[0] == 0 {
		raw = raw[1:]
	}
	pairs := make([]string, len(raw))
	for i, o := range raw {
		pairs[i] = hex.EncodeToString([]byte{o})
	}
	return strings.Join(pairs, ":"), nil
}

// compareRevocations finds what is not revoked here, and with -revoke revokes it.
func (r *reconciliation) compareRevocations() error {
	if len(r.revoked) == 0 {
		return nil
	}
	here := map[string]bool{}
	for _, mount := range r.mounts {
		secret, err := r.get(mount+"/certs/revoked", url.Values{"list": {"true"}})
		if isNothing(err) {
			continue
		}
		if err != nil {
			return explain("Error listing "+mount+"/certs/revoked", err)
		}
		serials, _ := secret.Data["keys"].([]any)
		for _, serial := range serials {
			here[text(serial)] = true
		}
	}
	certificates := map[string][]byte{}
	for _, m := range r.rows {
		certificates[m.Serial] = m.der
	}
	for _, row := range r.revoked {
		if here[row.Serial] {
			continue
		}
		here[row.Serial] = true // once is enough
		r.rows = append(r.rows, row)
		if r.ctx.Bool("revoke") {
			r.revokeAgain(row, certificates[row.Serial])
		}
	}
	return nil
}

// revokeAgain revokes in the mount that knows the certificate, or the issuer of
// one that is in the log alone.
func (r *reconciliation) revokeAgain(row *unrecorded, der []byte) {
	body := map[string]any{"serial_number": row.Serial}
	if der != nil {
		body = map[string]any{"certificate": pemOf(der)}
	}
	var err error
	for _, mount := range r.mounts {
		if _, err = r.post(mount+"/revoke", body); err == nil {
			row.State = revokedAgain
			return
		}
	}
	fmt.Fprintln(r.errOut, explain("Error revoking "+row.Serial, err))
}
