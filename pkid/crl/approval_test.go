package crl_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hsmpki/hsmpki/pkid/crl"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
	"github.com/hsmpki/hsmpki/wire"
)

// TestWaitsForApproval: a list that people have to approve is asked for with the
// same bytes until they have, or until it would be another.
func TestWaitsForApproval(t *testing.T) {
	fs := vfs.NewMem()
	a := newAuthority(t, fs)
	var asked [][]byte
	approved := false
	hold := func(a *authority) {
		a.sign = func(message io.Reader) error {
			octets, err := io.ReadAll(message)
			if err != nil {
				return err
			}
			asked = append(asked, octets)
			if approved {
				return nil
			}
			return wire.Errorf(wire.Pending, "two people")
		}
	}
	hold(a)
	ask := func(kind crl.Kind) []byte {
		t.Helper()
		err := a.Rotate(t.Context(), group, kind)
		if !approved && !errors.Is(err, wire.Pending) || approved && err != nil {
			t.Fatal(err)
		}
		return asked[len(asked)-1]
	}
	a.mustRevoke(7)
	first := ask(crl.Complete)
	a.later(time.Hour)
	if again := ask(crl.Complete); !bytes.Equal(again, first) {
		t.Error("an hour later it is another list")
	}
	if said := a.said.String(); strings.Contains(said, "level=ERROR") || !strings.Contains(said, "a CRL waits for approval") {
		t.Errorf("what waits for people is no error; logged was\n%s", said)
	}
	now := a.clock()
	a.end() // pkid starts again
	a = newAuthority(t, fs)
	defer func() { a.end() }()
	hold(a)
	a.change(func() { a.now = now })
	if again := ask(crl.Complete); !bytes.Equal(again, first) {
		t.Error("after a restart it is another list")
	}
	a.mustRevoke(8)
	second := ask(crl.Complete)
	if bytes.Equal(second, first) {
		t.Error("a certificate was revoked, and the list is the same")
	}
	approved = true
	if last := ask(crl.Complete); !bytes.Equal(last, second) {
		t.Error("what was approved is not what is signed")
	}
	if next := ask(crl.Complete); bytes.Equal(next, second) {
		t.Error("the next list is the one before")
	}
}

// TestWhoCannotSign: anybody can read the CRL of an issuer whose key is not here,
// and it is no error of the CA's that there is none. Where there should be one it is.
func TestWhoCannotSign(t *testing.T) {
	a := open(t)
	logged := func(refusal error, look func()) string {
		t.Helper()
		before := len(a.said.String())
		a.change(func() { a.refuse, a.now = refusal, a.now.Add(time.Minute) })
		look()
		return a.said.String()[before:]
	}
	read := func() {
		if list, err := a.Latest(t.Context(), group, crl.Complete); err == nil {
			t.Errorf("there is a list: %v", list)
		}
	}
	tend := func() { a.Tend(t.Context()) }
	nobody := crl.CannotSign{Reason: vaultapi.BadRequest("its key is not in this mount")}
	if said := logged(nobody, read) + logged(nobody, tend); said != "" {
		t.Errorf("logged was\n%s", said)
	}
	refused := vaultapi.BadRequest("the mount may not use the key")
	for name, look := range map[string]func(){"read": read, "tend": tend} {
		if said := logged(refused, look); !strings.Contains(said, "level=ERROR") {
			t.Errorf("%s: that a CRL could not be made was not logged:\n%s", name, said)
		}
	}
}
