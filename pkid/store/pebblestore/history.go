package pebblestore

// historyKeys bounds how many written keys are remembered; at 100 octets a key
// some 10 MB. An update older than what is remembered runs again.
const historyKeys = 1 << 16

// written is the keys that one group of updates wrote.
type written struct {
	seq  uint64
	keys []string
}

// history remembers the keys written last, to tell whether what an update has
// read has changed since. It belongs to the committer.
type history struct {
	groups []written // oldest first
	last   map[string]uint64
	keys   int    // in groups
	floor  uint64 // groups up to this one are forgotten
	limit  int
}

func newHistory(limit int) *history {
	return &history{last: make(map[string]uint64), limit: limit}
}

// note adds one write of the group seq, the newest there is.
func (h *history) note(seq uint64, key string) {
	if h.last[key] == seq {
		return
	}
	if n := len(h.groups); n == 0 || h.groups[n-1].seq != seq {
		h.groups = append(h.groups, written{seq: seq})
	}
	g := &h.groups[len(h.groups)-1]
	g.keys = append(g.keys, key)
	h.last[key] = seq
	h.keys++
}

// forget drops the oldest groups until the rest is within the limit.
func (h *history) forget() {
	n := 0
	for ; h.keys > h.limit && n < len(h.groups); n++ {
		g := h.groups[n]
		for _, key := range g.keys {
			if h.last[key] == g.seq {
				delete(h.last, key)
			}
		}
		h.keys -= len(g.keys)
		h.floor = g.seq
		h.groups[n].keys = nil
	}
	h.groups = h.groups[n:]
}

// conflicts tells whether anything that r has read may have been written after
// the snapshot that it read.
func (h *history) conflicts(r *request) bool {
	if len(r.points) == 0 && len(r.ranges) == 0 {
		return false
	}
	if r.seq < h.floor {
		return true
	}
	for _, key := range r.points {
		if h.last[key] > r.seq {
			return true
		}
	}
	if len(r.ranges) == 0 {
		return false
	}
	for i := len(h.groups) - 1; i >= 0 && h.groups[i].seq > r.seq; i-- {
		for _, key := range h.groups[i].keys {
			for _, in := range r.ranges {
				if in.contains(key) {
					return true
				}
			}
		}
	}
	return false
}
