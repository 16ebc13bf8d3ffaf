package secret

import "encoding/binary"

// index finds any of many strings in one pass, by their first eight octets.
type index struct {
	values map[string]string // what each is
	starts map[uint64][]string
	maybe  *[1 << 13]uint64 // a bit for each hash of a start
}

func newIndex() index {
	return index{values: map[string]string{}, starts: map[uint64][]string{}, maybe: new([1 << 13]uint64)}
}

func (x *index) add(what, value string) {
	if len(value) < shortest || x.values[value] != "" {
		return
	}
	x.values[value] = what
	start := binary.BigEndian.Uint64([]byte(value))
	x.starts[start] = append(x.starts[start], value)
	at := hash(start)
	x.maybe[at/64] |= 1 << (at % 64)
}

func hash(start uint64) uint64 { return start * 0x9e3779b97f4a7c15 >> (64 - 19) }

// find says what of it is in content, each once.
func (x *index) find(content []byte) (found []string) {
	seen := map[string]bool{}
	var window uint64
	for i, octet := range content {
		window = window<<8 | uint64(octet)
		at := hash(window)
		if x.maybe[at/64]&(1<<(at%64)) == 0 || i < shortest-1 {
			continue
		}
		rest := content[i-shortest+1:]
		for _, value := range x.starts[window] {
			if !seen[value] && len(rest) >= len(value) && string(rest[:len(value)]) == value {
				seen[value] = true
				found = append(found, x.values[value])
			}
		}
	}
	return found
}
