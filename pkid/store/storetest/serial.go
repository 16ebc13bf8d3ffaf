package storetest

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hsmpki/hsmpki/pkid/store"
)

// observed is one transaction as its caller saw it: what it read, a list of the
// transactions that had appended to the key before, and where it appended
// itself.
type observed struct {
	began, ended int64 // on a clock that all callers share
	read         map[string][]int
	appended     []string
}

// testSerializable runs random transactions over a few keys, each of which
// holds a list that transactions append their own number to, and then looks for
// a serial order that explains what everybody saw and agrees with the times at
// which they began and ended. (The method is that of Kingsbury and Alvaro,
// "Elle: Inferring Isolation Anomalies from Experimental Observations".)
func testSerializable(t *testing.T, s store.Store) {
	const callers, each = 12, 30
	var clock, numbers atomic.Int64
	seen := make([]observed, callers*each)
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range each {
				id := int(numbers.Add(1)) - 1
				o, err := observe(t, s, id, clock.Add)
				check(t, err)
				seen[id] = o
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	final := map[string][]int{}
	view(t, s, func(r store.Reader) error {
		return r.Scan(nil, nil, func(key, value []byte) error {
			final[string(key)] = numbersOf(value)
			return nil
		})
	})
	if cycle := findCycle(dependencies(t, seen, final)); cycle != nil {
		t.Errorf("no serial order explains these transactions, each of which must come before the next:")
		for _, id := range cycle {
			t.Logf("%d: %+v", id, seen[id])
		}
	}
}

// observe runs one random transaction: an update that reads and appends, or a
// view that reads.
func observe(t *testing.T, s store.Store, id int, tick func(int64) int64) (o observed, err error) {
	keys := rand.Perm(6)[:1+rand.IntN(3)]
	read := func(r store.Reader) error {
		o.read = map[string][]int{}
		for _, k := range keys {
			key := "list/" + strconv.Itoa(k)
			value, err := r.Get([]byte(key))
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
			o.read[key] = numbersOf(value)
		}
		return nil
	}
	o.began = tick(1)
	defer func() { o.ended = tick(1) }()
	if rand.IntN(4) == 0 {
		return o, s.View(t.Context(), read)
	}
	writes := 1 + rand.IntN(len(keys))
	err = s.Update(t.Context(), func(tx store.Tx) error {
		o.appended = nil
		if err := read(tx); err != nil {
			return err
		}
		for _, k := range keys[:writes] {
			key := "list/" + strconv.Itoa(k)
			var list strings.Builder
			for _, n := range append(slices.Clone(o.read[key]), id) {
				list.WriteString(strconv.Itoa(n) + " ")
			}
			if err := tx.Put([]byte(key), []byte(list.String())); err != nil {
				return err
			}
			o.appended = append(o.appended, key)
		}
		return nil
	})
	return o, err
}

func numbersOf(value []byte) []int {
	var list []int
	for _, field := range strings.Fields(string(value)) {
		n, err := strconv.Atoi(field)
		if err != nil {
			panic(err)
		}
		list = append(list, n)
	}
	return list
}

// dependencies says which transactions must come after each one.
func dependencies(t *testing.T, seen []observed, final map[string][]int) [][]int {
	after := make([][]int, len(seen))
	order := func(first, second int) {
		if first != second {
			after[first] = append(after[first], second)
		}
	}
	for id, o := range seen {
		for key, list := range o.read {
			all := final[key]
			if len(list) > len(all) {
				t.Fatalf("%d read %v of %s, which ended as %v", id, list, key, all)
			}
			for i, n := range list {
				if all[i] != n {
					t.Fatalf("%d read %v of %s, which ended as %v", id, list, key, all)
				}
				order(n, id)
			}
			if len(list) < len(all) { // it did not see the next one
				order(id, all[len(list)])
			}
		}
		for _, key := range o.appended {
			if !slices.Contains(final[key], id) {
				t.Fatalf("%d's append to %s is lost", id, key)
			}
		}
		for other := range seen { // what had returned before it began was seen
			if seen[other].ended < o.began {
				order(other, id)
			}
		}
	}
	return after
}

// findCycle gives the nodes of one cycle, nil if there is none.
func findCycle(after [][]int) []int {
	const fresh, onPath, done = 0, 1, 2
	state := make([]int, len(after))
	var path, cycle []int
	var visit func(int) bool
	visit = func(n int) bool {
		state[n] = onPath
		path = append(path, n)
		for _, m := range after[n] {
			if state[m] == onPath {
				for i, p := range path {
					if p == m {
						cycle = append([]int{}, path[i:]...)
					}
				}
				return true
			}
			if state[m] == fresh && visit(m) {
				return true
			}
		}
		path = path[:len(path)-1]
		state[n] = done
		return false
	}
	for n := range after {
		if state[n] == fresh && visit(n) {
			return cycle
		}
	}
	return nil
}
