package backendtest_test

import (
	"bytes"
	"errors"
	"math"
	"sync/atomic"
	"testing"

	"github.com/hsmpki/hsmpki/test/faultmodule"
	"github.com/hsmpki/hsmpki/test/softhsm"
	"github.com/hsmpki/hsmpki/wire"
)

// TestCase4_TwoTokensOfOneLabel: neither is used, and both are named.
func TestCase4_TwoTokensOfOneLabel(t *testing.T) {
	token := softhsm.New(t)
	twin := token.Add(t, token.Label)
	service := supervised(t, token.Library, map[string]string{"SOFTHSM2_CONF": token.Conf})
	configure(t, service, p256(token, "key", token.PIN), worker(token.Library))
	wants(t, fault(t, service, "key").Err(), wire.Invalid, token.Serial, twin.Serial)
	_, err := service.Generate(t.Context(), &wire.GenerateRequest{Key: "key", ID: "x"})
	wants(t, err, wire.Invalid, token.Serial, twin.Serial)
}

// TestCase5_LabelAndSerial: together they select one of the two, which the
// public key shows.
func TestCase5_LabelAndSerial(t *testing.T) {
	token := softhsm.New(t)
	twin := token.Add(t, token.Label)
	service := supervised(t, token.Library, map[string]string{"SOFTHSM2_CONF": token.Conf})
	public := map[string][]byte{}
	for name, of := range map[string]*softhsm.Token{"first": token, "second": twin} {
		d := p256(of, name, of.PIN)
		d.PKCS11.TokenSerial, d.PKCS11.KeyLabel = of.Serial, "same"
		configure(t, service, d, worker(token.Library))
		made, err := service.Generate(t.Context(), &wire.GenerateRequest{Key: name, ID: "x"})
		if err != nil || !made.Created {
			t.Fatalf("%s: %+v, %v", name, made, err)
		}
		public[name] = made.Key.PublicKey
		if err := sign(t.Context(), service, name, public[name]); err != nil {
			t.Error(err)
		}
	}
	if bytes.Equal(public["first"], public["second"]) {
		t.Error("both definitions are of one key")
	}
}

func configure(t *testing.T, service wire.Service, d wire.Definition, w *wire.WorkerConfig) {
	t.Helper()
	if _, err := service.Configure(t.Context(), &wire.ConfigureRequest{Definition: d, Worker: w}); err != nil {
		t.Fatal(err)
	}
}

// TestCase6_SlotMoved: a token that was initialised anew is in another slot, and
// is found by its label.
func TestCase6_SlotMoved(t *testing.T) {
	token := softhsm.New(t)
	moved := token.Add(t, "moved")
	w := worker(token.Library)
	before := supervised(t, token.Library, map[string]string{"SOFTHSM2_CONF": token.Conf})
	configure(t, before, p256(moved, "key", moved.PIN), w)
	if _, err := before.Generate(t.Context(), &wire.GenerateRequest{Key: "key", ID: "x"}); err != nil {
		t.Fatal(err)
	}
	token.Util(t, "--delete-token", "--serial", moved.Serial)
	again := token.Add(t, "moved")
	if again.Slot == moved.Slot {
		t.Fatal("the slot did not change")
	}
	after := supervised(t, token.Library, map[string]string{"SOFTHSM2_CONF": token.Conf})
	configure(t, after, p256(again, "key", again.PIN), w)
	made, err := after.Generate(t.Context(), &wire.GenerateRequest{Key: "key", ID: "x"})
	if err != nil || !made.Created {
		t.Fatalf("%+v, %v", made, err)
	}
	if err := sign(t.Context(), after, "key", made.Key.PublicKey); err != nil {
		t.Error(err)
	}
	// The worker that knew the old token finds the new one too.
	wants(t, sign(t.Context(), before, "key", made.Key.PublicKey), wire.KeyChanged)
}

// TestCase19_FewSessions: the token allows two and says nothing of it. Many
// callers are served or told to come again, and none hears of the token's limit.
func TestCase19_FewSessions(t *testing.T) {
	f := newFailing(t)
	f.faults.Set(t, faultmodule.Sessions(2))
	f.Process = f.supervised(t, f.faults.Library)
	f.configure(t, p256(f.token, "key", f.token.PIN))
	var served atomic.Int64
	atOnce(200, func(int) {
		switch err := sign(t.Context(), f, "key", f.spki); {
		case err == nil:
			served.Add(1)
		case errors.Is(err, wire.Busy):
			wants(t, err, wire.Busy, "queue")
		default:
			t.Error(err)
		}
	})
	if served.Load() < 64 {
		t.Errorf("%d of 200 were served", served.Load())
	}
	f.signs(t)
}

// TestCase20_OddSessionCounts: no limit, one, not told, and what opencryptoki
// says.
func TestCase20_OddSessionCounts(t *testing.T) {
	f := newFailing(t)
	for _, count := range []uint64{0, 1, math.MaxUint64, math.MaxUint64 - 1} {
		faults := []faultmodule.Fault{faultmodule.MaxSessionCount(count)}
		if count == 1 {
			faults = append(faults, faultmodule.Sessions(1))
		}
		f.faults.Set(t, faults...)
		f.Process = f.supervised(t, f.faults.Library)
		f.configure(t, p256(f.token, "key", f.token.PIN))
		atOnce(40, func(int) { f.signs(t) })
	}
}

// TestCase22_KeyMadeAnew: another key under the label is found, and not used in
// place of the one that was asked for.
func TestCase22_KeyMadeAnew(t *testing.T) {
	f := newFailing(t)
	f.token.Tool(t, "--delete-object", "--type", "privkey", "--label", "key")
	f.token.Tool(t, "--delete-object", "--type", "pubkey", "--label", "key")
	f.fails(t, wire.UnknownKey, "key")
	f.token.Tool(t, "--keypairgen", "--key-type", "EC:prime256v1", "--label", "key", "--id", "07")
	f.fails(t, wire.KeyChanged)
	answer, err := f.Describe(t.Context(), &wire.DescribeRequest{Key: "key", Find: true})
	if err != nil || answer.Keys[0].Fault != nil || bytes.Equal(answer.Keys[0].PublicKey, f.spki) {
		t.Fatalf("described as %+v, %v", answer, err)
	}
	if err := sign(t.Context(), f, "key", answer.Keys[0].PublicKey); err != nil {
		t.Error(err)
	}
	if away := f.away(t); len(away) != 0 {
		t.Errorf("%+v is away", away)
	}
}
