package drill

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/hsmpki/hsmpki/wire"
)

// software is what the drill calls itself.
const software = "hsmd drill"

// attackService asks for what is hsmd's own to ask, or an administrator's.
func (t *Target) attackService(ctx context.Context, report func(Result)) {
	tell := func(name string, err error) {
		v, words := verdict(err)
		if v == Got {
			words = "hsmd did it"
		}
		report(Result{Attempt: name, Verdict: v, Words: words})
	}
	definition := wire.Definition{Type: "pkcs11", Name: fmt.Sprintf("hsmd-drill-%x", newSerial()), AnyMount: true,
		PKCS11: &wire.PKCS11Definition{Library: "hsmd-drill", TokenLabel: "hsmd drill", PIN: "0000", KeyLabel: "hsmd drill", Mechanism: 0x1041, Curve: "P256"}}
	if status, err := t.client.Status(ctx, &wire.StatusRequest{}); err == nil && len(status.Libraries) > 0 {
		definition.PKCS11.Library = status.Libraries[0].Name
	}
	_, err := t.client.Configure(ctx, &wire.ConfigureRequest{Definition: definition, Worker: &wire.WorkerConfig{Library: "/nonexistent/hsmd-drill.so"}})
	tell("load-library", err)

	// No token has that label: the PIN is shown to none.
	_, err = t.client.Configure(ctx, &wire.ConfigureRequest{Definition: definition})
	tell("define-key", err)
	if err == nil {
		_, err = t.client.Forget(ctx, &wire.ForgetRequest{Key: definition.Name})
		tell("forget-key", err)
	}
	_, err = t.client.Approve(ctx, &wire.ApproveRequest{ID: strings.Repeat("0", 32), Signature: "-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n"})
	tell("forge-approval", err)
}

// violations are frames that cost a peer its connection (wire/README.md).
var violations = []struct {
	name   string
	octets []byte
}{
	{"frame-of-nothing", []byte{0, 0, 0, 0}},
	{"frame-too-long", []byte{0x7f, 0xff, 0xff, 0xff, 0xa0}},
	{"frame-of-garbage", framed([]byte("GET / HTTP/1.1\r\n\r\n"))},
	{"unknown-operation", framed([]byte{0xa3, 1, 1, 2, 1, 3, 0x18, 0xff, 0xa0})},
	{"unknown-kind", framed([]byte{0xa2, 1, 0x18, 0xff, 2, 1})},
	{"unknown-field", framed([]byte{0xa4, 1, 1, 2, 1, 3, 1, 0x18, 0x63, 1, 0xa0})},
	{"number-0", framed([]byte{0xa3, 1, 1, 2, 0, 3, 7, 0xa0})},
	{"nested-deep", framed(append([]byte{0xa3, 1, 1, 2, 1, 3, 1}, append(slices.Repeat([]byte{0x81}, 1000), 0)...))},
	{"half-a-frame", []byte{0, 0, 0, 9, 0xa3}},
}

func framed(body []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
}

// attackProtocol breaks the protocol's rules, each on a connection of its own, and
// wants that one cut, and the first one served as before.
func (t *Target) attackProtocol(ctx context.Context, report func(Result)) error {
	for _, v := range violations {
		conn, err := t.greeted(ctx)
		if err != nil {
			return err
		}
		r := Result{Attempt: v.name, Verdict: Refused, Words: "the connection is cut"}
		_, err = conn.Write(v.octets)
		if err == nil {
			_, err = io.Copy(io.Discard, conn)
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			r.Verdict, r.Words = Got, "the connection goes on"
		}
		conn.Close()
		report(r)
	}
	return t.attackWithConnections(ctx, report)
}

// attackWithConnections opens more than a user should have, and lets them lie.
func (t *Target) attackWithConnections(ctx context.Context, report func(Result)) error {
	open := 0
	for range 500 {
		conn, err := t.greeted(ctx)
		if err != nil {
			break
		}
		defer conn.Close()
		open++
	}
	r := Result{Attempt: "connections", Verdict: Refused, Words: fmt.Sprintf("%d are served, and no more", open)}
	if open == 500 {
		r.Verdict, r.Words = Got, "500, and more may be"
	}
	report(r)
	r = Result{Attempt: "stop-service", Verdict: Refused, Words: "hsmd goes on"}
	if _, err := t.client.Status(ctx, &wire.StatusRequest{}); err != nil {
		r.Verdict, r.Words = Got, "hsmd does not answer any more: "+err.Error()
	}
	report(r)
	return nil
}

// greeted is a connection after the handshake, which is written here by hand. It
// waits for 15 s, longer than hsmd does for half a frame.
func (t *Target) greeted(ctx context.Context) (net.Conn, error) {
	conn, err := t.Dial(ctx)
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(15 * time.Second))
	hello := append([]byte{0xa4, 1, 0x69}, "hsmd wire"...)
	hello = append(append(hello, 2, 1, 3, 1, 4, 0x6a), software...)
	var length [4]byte
	if _, err = conn.Write(framed(hello)); err == nil {
		if _, err = io.ReadFull(conn, length[:]); err == nil {
			_, err = io.CopyN(io.Discard, conn, int64(binary.BigEndian.Uint32(length[:])))
		}
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("handshake: %w", err)
	}
	return conn, nil
}
