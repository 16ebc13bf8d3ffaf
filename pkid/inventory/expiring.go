package inventory

import (
	"time"

	"github.com/hsmpki/hsmpki/pkid/store"
)

// ExpiringByDay counts the stored certificates that end in each of the days
// from a time on, and looks at most at so many. whole says that it did not have
// to stop.
func (v Inventory) ExpiringByDay(r store.Reader, from time.Time, days, most int) (counts []int, whole bool, err error) {
	index := v.space.ByExpiry()
	start, end := index.Between(from, from.AddDate(0, 0, days))
	counts, seen := make([]int, days), 0
	err = r.Scan(start, end, func(key, _ []byte) error {
		if seen++; seen > most {
			return store.ErrStop
		}
		notAfter, _, ok := store.SplitEntry(key, len(index))
		if day := int(notAfter.Sub(from) / (24 * time.Hour)); ok && day < days {
			counts[day]++
		}
		return nil
	})
	return counts, seen <= most, err
}
