package test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hsmpki/hsmpki/test/daemon"
	"github.com/hsmpki/hsmpki/test/faultmodule"
	"github.com/hsmpki/hsmpki/test/softhsm"
	"github.com/hsmpki/hsmpki/wire"
)

// faulty is the kms_library block of a store whose library goes wrong.
func faulty(s *softhsm.Store, faults *faultmodule.Module, name string) string {
	block := librariesAt(s, name, faults.Library)
	for _, name := range slices.Sorted(maps.Keys(faults.Env)) {
		block = strings.Replace(block, "env     = {", fmt.Sprintf("env     = { %s = %q,", name, faults.Env[name]), 1)
	}
	return block
}

// TestCase18_HangAtReload: a library that hangs while it is loaded or logged in
// to holds up neither what else is new, longer than a bound, nor any request, be
// it to define a key; and a worker that hangs does not take the place of one
// that is sound.
func TestCase18_HangAtReload(t *testing.T) {
	t.Parallel()             // it waits, mostly
	var cases sync.WaitGroup // all at a time: each waits for the bound
	defer cases.Wait()
	for _, function := range []string{"C_Initialize", "C_Login"} {
		cases.Go(func() {
			t.Run("new library, "+function, func(t *testing.T) { hangNewLibrary(t, function) })
		})
		cases.Go(func() {
			t.Run("new worker, "+function, func(t *testing.T) { hangNewWorker(t, function) })
		})
	}
}

func hangNewLibrary(t *testing.T, function string) {
	token, slow := softhsm.New(t), softhsm.New(t)
	faults := faultmodule.New(t, slow.Library)
	blocks := daemon.Libraries(token.Store) + hclKey(token, "ca") + daemon.WireKeys
	h := daemon.NewHSMD(t, blocks)
	h.Start()
	signing := startSigning(t, h, "ca", "ca")
	c := wireClient(t, h.Socket)

	faults.Set(t, faultmodule.Hang(function))
	h.Write(t, blocks+faulty(slow.Store, faults, "slow")+hclKeyIn("slow", slow, "slow", slow.PIN)+hclKey(token, "extra"))
	over := reloadBeside(h)
	eventually(t, function+" is called", func() bool { return faults.Calls(t, function) > 0 })
	defineOver(t, c, token, "meanwhile")
	meanwhile := signerOf(t, c, "meanwhile")
	signing.waitFor(t, 20)
	signing.finish(t)
	select {
	case log := <-over:
		t.Errorf("the reload did not wait:\n%s", log)
	default:
	}
	says(t, <-over, `"msg":"a managed key cannot be used yet","key":"slow"`, "the configuration is reloaded")
	signerOf(t, c, "extra")
	if err := meanwhile.ask(func(r *wire.SignRequest) { r.Message = tbsCertificate(t, meanwhile) }); err != nil {
		t.Errorf("a key that was defined during the reload: %v", err)
	}
	faults.Set(t)
	eventually(t, "the key of the new library can be used", func() bool {
		_, err := c.Generate(t.Context(), &wire.GenerateRequest{Key: "slow", ID: "slow"})
		return err == nil
	})
}

func hangNewWorker(t *testing.T, function string) {
	token := softhsm.New(t)
	faults := faultmodule.New(t, token.Library)
	library := faulty(token.Store, faults, "softhsm")
	h := daemon.NewHSMD(t, library+hclKey(token, "ca"))
	h.Start()
	signing := startSigning(t, h, "ca", "ca")
	before := h.WorkerPIDs()
	calls := faults.Calls(t, function)
	faults.Set(t, faultmodule.Hang(function))
	h.Write(t, strings.Replace(library, "  env ", "  max_sessions = 4\n  env ", 1)+hclKey(token, "ca")+hclKey(token, "extra"))
	over := reloadBeside(h)
	eventually(t, function+" is called", func() bool { return faults.Calls(t, function) > calls })
	signing.waitFor(t, 20)
	signing.finish(t)
	says(t, <-over, "the configuration is not reloaded", "hsmd.hcl:")
	eventually(t, "the new worker ends", func() bool { return slices.Equal(h.WorkerPIDs(), before) })
	s := signerOf(t, wireClient(t, h.Socket), "ca")
	if err := s.ask(func(r *wire.SignRequest) { r.Message = tbsCertificate(t, s) }); err != nil {
		t.Errorf("after the reload: %v", err)
	}

	// Nor does it keep hsmd from ending.
	calls = faults.Calls(t, function)
	over = reloadBeside(h)
	eventually(t, function+" is called", func() bool { return faults.Calls(t, function) > calls })
	h.Stop()
	says(t, <-over, "the configuration is not reloaded", "hsmd ends")
}

// reloadBeside gives what is logged until hsmd has said what came of it.
func reloadBeside(h *daemon.HSMD) <-chan string {
	over := make(chan string, 1)
	go func() {
		log, _ := h.Reload()
		over <- log
	}()
	return over
}
