package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"

	"github.com/hsmpki/hsmpki/pkid/store"
)

func testErrorAborts(t *testing.T, s store.Store) {
	broken := errors.New("broken")
	err := s.Update(t.Context(), func(tx store.Tx) error {
		check(t, tx.Put([]byte("a"), []byte("1")))
		check(t, tx.Add([]byte("n"), 1))
		return broken
	})
	if err != broken {
		t.Errorf("Update gave %v, want the function's error as it is", err)
	}
	wantGet(t, s, "a", "-")
	wantCount(t, s, "n", 0)
	if err := s.View(t.Context(), func(store.Reader) error { return broken }); err != broken {
		t.Errorf("View gave %v, want the function's error as it is", err)
	}
}

func testPanicAborts(t *testing.T, s store.Store) {
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic did not reach the caller")
			}
		}()
		_ = s.Update(t.Context(), func(tx store.Tx) error {
			check(t, tx.Put([]byte("a"), []byte("1")))
			panic("broken")
		})
	}()
	wantGet(t, s, "a", "-")
	set(t, s, "a", "works")
}

func testViewIsConsistent(t *testing.T, s store.Store) {
	set(t, s, "a", "1", "b", "1")
	view(t, s, func(r store.Reader) error {
		before, err := get(r, "a")
		check(t, err)
		set(t, s, "a", "2", "b", "2")
		after, err := get(r, "b")
		if before != "1" || after != "1" {
			t.Errorf("one view sees a=%s b=%s", before, after)
		}
		return err
	})
	wantGet(t, s, "b", "2") // and what Update has returned is seen at once
}

func testUseAfterReturn(t *testing.T, s store.Store) {
	set(t, s, "a", "1")
	var kept store.Reader
	var keptTx store.Tx
	view(t, s, func(r store.Reader) error { kept = r; return nil })
	update(t, s, func(tx store.Tx) error { keptTx = tx; return nil })
	for _, r := range []store.Reader{kept, keptTx} {
		if _, err := r.Get([]byte("a")); err == nil {
			t.Error("Get works after the function has returned")
		}
		if err := r.Scan(nil, nil, func(_, _ []byte) error { return nil }); err == nil {
			t.Error("Scan works after the function has returned")
		}
	}
	if err := keptTx.Put([]byte("a"), nil); err == nil {
		t.Error("Put works after the function has returned")
	}
}

func testLostUpdate(t *testing.T, s store.Store) {
	const callers, each = 16, 15
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range each {
				check(t, s.Update(t.Context(), func(tx store.Tx) error {
					n, err := number(tx, "n")
					if err != nil {
						return err
					}
					return tx.Put([]byte("n"), strconv.AppendInt(nil, n+1, 10))
				}))
			}
		})
	}
	wg.Wait()
	wantGet(t, s, "n", strconv.Itoa(callers*each))
}

// number reads a decimal number, 0 for none.
func number(r store.Reader, key string) (int64, error) {
	value, err := r.Get([]byte(key))
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(string(value), 10, 64)
}

// testWriteSkew: each of two updates reads both keys and writes one; whichever
// comes second must see the first.
func testWriteSkew(t *testing.T, s store.Store) {
	for round := range 50 {
		set(t, s, "a", "on duty", "b", "on duty")
		var wg sync.WaitGroup
		for _, me := range []string{"a", "b"} {
			wg.Go(func() {
				check(t, s.Update(t.Context(), func(tx store.Tx) error {
					list, err := listed(tx, []byte("a"), []byte("c"))
					if err != nil || list != "a=on duty b=on duty" {
						return err
					}
					return tx.Put([]byte(me), []byte("off"))
				}))
			})
		}
		wg.Wait()
		view(t, s, func(r store.Reader) error {
			list, err := listed(r, nil, nil)
			if list != "a=off b=on duty" && list != "a=on duty b=off" {
				t.Fatalf("round %d: %s", round, list)
			}
			return err
		})
	}
}

func testPhantom(t *testing.T, s store.Store) {
	set(t, s, "k1", "", "k3", "")
	scan := func(tx store.Tx) error { _, err := listed(tx, []byte("k"), []byte("l")); return err }
	put := func(key string) func(store.Tx) error {
		return func(tx store.Tx) error { return tx.Put([]byte(key), nil) }
	}
	for _, c := range []struct {
		key  string
		runs int
	}{{"k2", 2}, {"k0", 2}, {"k9", 2}, {"k", 2}, {"l", 1}, {"j", 1}} {
		if runs := overtaken(t, s, scan, put(c.key), put("x")); runs != c.runs {
			t.Errorf("%s appeared in a scanned [k, l): ran %d times, want %d", c.key, runs, c.runs)
		}
	}
	remove := func(tx store.Tx) error { return tx.Delete([]byte("k1")) }
	if runs := overtaken(t, s, scan, remove, put("x")); runs != 2 {
		t.Errorf("a key vanished from a scanned range: ran %d times, want 2", runs)
	}
}

// testPhantomAfterStop: a scan that stopped has read what came before, whatever
// the engine does with what comes after.
func testPhantomAfterStop(t *testing.T, s store.Store) {
	set(t, s, "k1", "", "k3", "", "k5", "")
	scan := func(tx store.Tx) error {
		return tx.Scan([]byte("k"), nil, func(key, _ []byte) error {
			if string(key) == "k3" {
				return store.ErrStop
			}
			return nil
		})
	}
	for _, key := range []string{"k0", "k2", "k3"} {
		other := func(tx store.Tx) error { return tx.Put([]byte(key), []byte("new")) }
		write := func(tx store.Tx) error { return tx.Put([]byte("x"), nil) }
		if runs := overtaken(t, s, scan, other, write); runs != 2 {
			t.Errorf("%s changed before where the scan stopped: ran %d times, want 2", key, runs)
		}
	}
}

// testBankTransfers moves money between accounts; every view must see the same
// sum.
func testBankTransfers(t *testing.T, s store.Store) {
	const accounts, callers, each, total = 8, 8, 30, 8 * 100
	name := func(i int) string { return fmt.Sprintf("account/%d", i) }
	for i := range accounts {
		set(t, s, name(i), "100")
	}
	sum := func(r store.Reader) error {
		var sum int64
		err := r.Scan([]byte("account/"), []byte("account0"), func(_, value []byte) error {
			n, err := strconv.ParseInt(string(value), 10, 64)
			sum += n
			return err
		})
		if sum != total {
			t.Errorf("the sum is %d", sum)
		}
		return err
	}
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range each {
				from, to, amount := rand.IntN(accounts), rand.IntN(accounts), rand.Int64N(50)
				check(t, s.Update(t.Context(), func(tx store.Tx) error {
					if err := move(tx, name(from), -amount); err != nil {
						return err
					}
					return move(tx, name(to), amount)
				}))
				check(t, s.View(t.Context(), sum))
			}
		})
	}
	wg.Wait()
	view(t, s, sum)
}

func move(tx store.Tx, account string, amount int64) error {
	n, err := number(tx, account)
	if err != nil {
		return err
	}
	return tx.Put([]byte(account), strconv.AppendInt(nil, n+amount, 10))
}
