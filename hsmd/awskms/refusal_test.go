package awskms_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/hsmd/awskms"
	"github.com/hsmpki/hsmpki/test/fakekms"
	"github.com/hsmpki/hsmpki/wire"
)

// TestCase49_Refusals: why KMS does not sign is told apart, and not tried again.
func TestCase49_Refusals(t *testing.T) {
	for _, test := range []struct {
		name  string
		set   func(*fakekms.Server, string)
		code  wire.Code
		words string
	}{
		{"disabled", func(s *fakekms.Server, arn string) { s.SetState(arn, "Disabled") }, wire.Denied, "is disabled"},
		{"pending deletion", func(s *fakekms.Server, arn string) { s.SetState(arn, "PendingDeletion") }, wire.Denied, "pending deletion"},
		{"access denied", func(s *fakekms.Server, _ string) { s.Deny("Sign", true) }, wire.Denied, "no resource-based policy"},
		{"expired credentials", func(s *fakekms.Server, _ string) { s.Expire(100) }, wire.LoginRefused, "have expired"},
		{"key is gone", func(s *fakekms.Server, _ string) { s.Fail("Sign", "NotFoundException", 1) }, wire.UnknownKey, "no such key"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t, awskms.Config{})
			key := b.kms.MakeKey("ECC_NIST_P256", "alias/k")
			b.define("k", "ECDSA", nil)
			b.find("k")
			test.set(b.kms, key.ARN)
			_, err := b.sign(t.Context(), "k", key.SPKI, wire.ECDSAP256SHA256, []byte("x"))
			b.want("signing", err, test.code, test.words, "request ")
			if n := b.kms.Count("Sign"); n != 1 {
				t.Errorf("asked %d times", n)
			}
		})
	}
}

// TestCase49_RefusedWhileLooking: a key that may not be used is not replaced by
// a new one.
func TestCase49_RefusedWhileLooking(t *testing.T) {
	for _, state := range []string{"Disabled", "PendingDeletion"} {
		b := newBench(t, awskms.Config{})
		b.kms.SetState(b.kms.MakeKey("ECC_NIST_P256", "alias/k").ARN, state)
		b.define("k", "ECDSA", nil)
		_, err := b.generate(t.Context(), "k")
		b.want(state, err, wire.Denied)
		if len(b.kms.Keys()) != 1 {
			t.Errorf("%s: another key was made", state)
		}
	}
}

// TestCase49_ExpiredOnce: credentials of the environment are asked for anew, once.
func TestCase49_ExpiredOnce(t *testing.T) {
	b := newBench(t, awskms.Config{})
	for _, v := range b.kms.Env() {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
	key := b.kms.MakeKey("ECC_NIST_P256", "alias/k")
	b.define("k", "ECDSA", func(d *wire.AWSKMSDefinition) { d.AccessKey, d.SecretKey, d.Region, d.Endpoint = "", "", "", "" })
	b.find("k")
	b.kms.Expire(1)
	if _, err := b.sign(t.Context(), "k", key.SPKI, wire.ECDSAP256SHA256, []byte("x")); err != nil {
		t.Error(err)
	}
	b.kms.Expire(100)
	_, err := b.sign(t.Context(), "k", key.SPKI, wire.ECDSAP256SHA256, []byte("x"))
	b.want("expired again", err, wire.LoginRefused)
	if n := b.kms.Count("Sign"); n != 4 {
		t.Errorf("asked %d times, want 2 and 2", n)
	}
}

// TestWrongCredentials are told from all else.
func TestWrongCredentials(t *testing.T) {
	b := newBench(t, awskms.Config{})
	b.define("k", "ECDSA", func(d *wire.AWSKMSDefinition) { d.SecretKey = "another" })
	b.want("a wrong secret", b.find("k").Fault.Err(), wire.LoginRefused, "secret key")
}

// TestCase50_WhatKMSCannotDo never reaches it.
func TestCase50_WhatKMSCannotDo(t *testing.T) {
	b := newBench(t, awskms.Config{})
	p384 := b.kms.MakeKey("ECC_NIST_P384", "alias/p384")
	ed := b.kms.MakeKey("ECC_NIST_EDWARDS25519", "alias/ed")
	b.define("p384", "ECDSA", func(d *wire.AWSKMSDefinition) { d.Curve = "P384" })
	b.define("ed", "Ed25519", nil)
	_, err := b.sign(t.Context(), "p384", p384.SPKI, wire.ECDSAP256SHA256, []byte("x"))
	b.want("P-384 with SHA-256", err, wire.Invalid, "does not sign with")
	_, err = b.sign(t.Context(), "ed", ed.SPKI, wire.Ed25519, make([]byte, 4097))
	b.want("4,097 octets", err, wire.Invalid, "at most 4096 octets")
	if n := b.kms.Count("Sign"); n != 0 {
		t.Errorf("%d requests", n)
	}
	longest := make([]byte, 4096)
	signature, err := b.sign(t.Context(), "ed", ed.SPKI, wire.Ed25519, longest)
	if err != nil || !verified(t, ed.SPKI, wire.Ed25519, longest, signature) {
		t.Errorf("4,096 octets: %v", err)
	}
	b.define("other", "ECDSA", func(d *wire.AWSKMSDefinition) { d.KMSKey = "alias/p384" })
	b.want("another curve than defined", b.find("other").Fault.Err(), wire.Invalid, "ECC_NIST_P384", "ECC_NIST_P256")
}

// TestCase51_BlackHole: nobody waits longer than he said.
func TestCase51_BlackHole(t *testing.T) {
	b := newBench(t, awskms.Config{})
	key := b.kms.MakeKey("ECC_NIST_P256", "alias/k")
	b.define("k", "ECDSA", nil)
	b.find("k")
	b.kms.BlackHole(true)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := b.sign(ctx, "k", key.SPKI, wire.ECDSAP256SHA256, []byte("x"))
	b.want("a black hole", err, wire.Unavailable, "no answer in time")
	b.kms.BlackHole(false)
	if _, err := b.sign(t.Context(), "k", key.SPKI, wire.ECDSAP256SHA256, []byte("x")); err != nil {
		t.Error(err)
	}
}

// TestPassingFaults: what is KMS's fault, or the network's, is asked again.
func TestPassingFaults(t *testing.T) {
	b := newBench(t, awskms.Config{})
	key := b.kms.MakeKey("ECC_NIST_P256", "alias/k")
	b.define("k", "ECDSA", nil)
	b.kms.Lose("DescribeKey", 1)
	b.kms.Fail("Sign", "KMSInternalException", 2)
	if _, err := b.sign(t.Context(), "k", key.SPKI, wire.ECDSAP256SHA256, []byte("x")); err != nil {
		t.Error(err)
	}
	b.kms.Break("Sign", 2) // of the answer it is known that it is one of success
	if _, err := b.sign(t.Context(), "k", key.SPKI, wire.ECDSAP256SHA256, []byte("x")); err != nil {
		t.Errorf("an answer that breaks off: %v", err)
	}
	b.kms.Fail("Sign", "KMSInternalException", 100)
	_, err := b.sign(t.Context(), "k", key.SPKI, wire.ECDSAP256SHA256, []byte("x"))
	b.want("KMS is at fault", err, wire.Unavailable, "KMSInternalException")
}

// TestRequestIDs: each signature's line has KMS's request id, and no message.
func TestRequestIDs(t *testing.T) {
	b := newBench(t, awskms.Config{})
	key := b.kms.MakeKey("ECC_NIST_EDWARDS25519", "alias/k")
	b.define("k", "Ed25519", nil)
	message := []byte("not-for-the-log")
	if _, err := b.sign(t.Context(), "k", key.SPKI, wire.Ed25519, message); err != nil {
		t.Fatal(err)
	}
	for _, call := range b.kms.Calls() {
		if call.Operation == "Sign" && !strings.Contains(b.log.String(), "request_id="+call.RequestID+" context=\"pki/ request-1\"") {
			t.Errorf("request %s is not in the log:\n%s", call.RequestID, b.log)
		}
	}
	b.kms.Fail("Sign", "ValidationException", 1)
	_, err := b.sign(t.Context(), "k", key.SPKI, wire.Ed25519, message)
	b.want("a ValidationException, which may echo the message", err, wire.Invalid)
	if strings.Contains(err.Error()+b.log.String(), string(message)) || bytes.Contains([]byte(err.Error()), []byte("switched on")) {
		t.Errorf("the text of a ValidationException is told: %v", err)
	}
}

// TestCase51_NotWaitedFor: after some tries nobody waits for a KMS that is
// silent, however many ask; and it is found again.
func TestCase51_NotWaitedFor(t *testing.T) {
	b := newBench(t, awskms.Config{Patience: 200 * time.Millisecond})
	key := b.kms.MakeKey("ECC_NIST_P256", "alias/k")
	b.define("k", "ECDSA", nil)
	b.find("k")
	b.kms.BlackHole(true)
	sign := func() error {
		_, err := b.sign(t.Context(), "k", key.SPKI, wire.ECDSAP256SHA256, []byte("x"))
		return err
	}
	b.want("the first", sign(), wire.Unavailable)
	before := b.kms.Count("Sign")
	for range 1000 {
		b.want("a later one", sign(), wire.Unavailable)
	}
	status, err := b.service.Status(t.Context(), &wire.StatusRequest{})
	if err != nil || len(status.Libraries) != 1 || status.Libraries[0].Fault == nil || status.Libraries[0].Away[0].Token != fakekms.Region {
		t.Errorf("the status is %+v, %v", status, err)
	}
	if n := b.kms.Count("Sign") - before; n > 50 {
		t.Errorf("%d of 1000 requests waited for KMS", n)
	}
	b.kms.BlackHole(false)
	for end := time.Now().Add(30 * time.Second); sign() != nil; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("KMS is not found again")
		}
	}
	status, err = b.service.Status(t.Context(), &wire.StatusRequest{})
	if err != nil || status.Libraries[0].Fault != nil || status.Libraries[0].Tokens[0].Label != fakekms.Region {
		t.Errorf("the status is %+v, %v", status, err)
	}
}

// TestNoCredentials: where there are none to be had, that is what is said, and
// KMS is not taken for silent.
func TestNoCredentials(t *testing.T) {
	b := newBench(t, awskms.Config{})
	for _, v := range b.kms.Env() {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	b.define("k", "ECDSA", func(d *wire.AWSKMSDefinition) { d.AccessKey, d.SecretKey = "", "" })
	for range 5 {
		b.want("no credentials", b.find("k").Fault.Err(), wire.Unavailable, "AWS credentials")
	}
	if n := len(b.kms.Calls()); n != 0 {
		t.Errorf("%d requests", n)
	}
}

// TestCredentialsFile: credentials that come, or change, in the shared file are
// found without a restart.
func TestCredentialsFile(t *testing.T) {
	b := newBench(t, awskms.Config{})
	for _, v := range b.kms.Env() {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
	file := filepath.Join(t.TempDir(), "credentials")
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", file)
	key := b.kms.MakeKey("ECC_NIST_P256", "alias/k")
	b.define("k", "ECDSA", func(d *wire.AWSKMSDefinition) { d.AccessKey, d.SecretKey = "", "" })
	b.want("no file", b.find("k").Fault.Err(), wire.Unavailable, "AWS credentials")
	text := "[default]\naws_access_key_id = " + fakekms.AccessKey + "\naws_secret_access_key = " + fakekms.SecretKey + "\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := b.sign(t.Context(), "k", key.SPKI, wire.ECDSAP256SHA256, []byte("x")); err != nil {
		t.Errorf("with the file: %v", err)
	}
}

// TestEmptyAnswers: something that is not KMS answers "{}" with success. hsmd does
// not fall over it, makes no second key, and goes on when KMS is back.
func TestEmptyAnswers(t *testing.T) {
	for _, operation := range []string{"ListKeys", "ListResourceTags", "DescribeKey", "CreateKey", "CreateAlias", "GetPublicKey"} {
		t.Run(operation, func(t *testing.T) {
			b := newBench(t, awskms.Config{})
			b.kms.MakeKey("ECC_NIST_P256", "") // somebody else's
			there := len(b.kms.Keys())
			b.define("k", "ECDSA", nil)
			b.kms.Empty(operation, 1)
			if _, err := b.generate(t.Context(), "k"); err != nil {
				b.want(operation, err, wire.Internal, "k")
			}
			if _, err := b.generate(t.Context(), "k"); err != nil {
				t.Fatal(err)
			}
			if n := len(b.kms.Keys()) - there; n != 1 {
				t.Errorf("%d keys were made", n)
			}
		})
	}
}

// TestClockSkew: a clock that is wrong by more than KMS suffers is corrected by
// KMS's own, before anybody notices.
func TestClockSkew(t *testing.T) {
	b := newBench(t, awskms.Config{})
	key := b.kms.MakeKey("ECC_NIST_P256", "alias/k")
	b.define("k", "ECDSA", nil)
	for _, skew := range []time.Duration{-time.Hour, 0, time.Hour} {
		b.kms.Skew(skew)
		if info := b.find("k"); info.Fault != nil {
			t.Fatalf("%v: %v", skew, info.Fault.Err())
		}
		if _, err := b.sign(t.Context(), "k", key.SPKI, wire.ECDSAP256SHA256, []byte("x")); err != nil {
			t.Errorf("%v: %v", skew, err)
		}
	}
	if n := b.kms.Count("DescribeKey"); n != 6 {
		t.Errorf("%d requests where 6 are enough", n)
	}
}

// TestCase46_RightThatCameLater: a key whose tags could not be read is not taken for
// somebody else's for good. The one that a lost answer left is found when the right
// to read them is there.
func TestCase46_RightThatCameLater(t *testing.T) {
	b := newBench(t, awskms.Config{})
	b.define("k", "ECDSA", nil)
	b.kms.Deny("ListResourceTags", true)
	b.kms.Lose("CreateKey", 1)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := b.generate(ctx, "k")
	b.want("a lost answer", err, wire.Unavailable)
	b.kms.Deny("ListResourceTags", false)
	if _, err := b.generate(t.Context(), "k"); err != nil || len(b.kms.Keys()) != 1 {
		t.Errorf("%v; there are %d keys", err, len(b.kms.Keys()))
	}
}
