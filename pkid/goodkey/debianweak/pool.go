package main

import (
	"crypto/sha1"
	"encoding/binary"
)

// variant is one of the kinds of machine and of ~/.rnd that keys differ by.
type variant struct {
	name string
	// order and word are of the C type long.
	order binary.ByteOrder
	word  int
	// stat is the size of struct stat.
	stat int
	rnd  rndFile
}

// rndFile is what OpenSSL found at ~/.rnd.
type rndFile int

const (
	rndRead    rndFile = iota // a file of 1024 octets
	rndMissing                // nothing
	rndShut                   // a file that is empty or may not be read
)

// variants are the nine sets of keys, 32,768 each.
var variants = func() (all []variant) {
	for _, machine := range []variant{
		{name: "le64", order: binary.LittleEndian, word: 8, stat: 144},
		{name: "le32", order: binary.LittleEndian, word: 4, stat: 88},
		{name: "be32", order: binary.BigEndian, word: 4, stat: 88},
	} {
		for rnd, name := range []string{rndRead: "rnd", rndMissing: "nornd", rndShut: "noreadrnd"} {
			v := machine
			v.name, v.rnd = machine.name+"-"+name, rndFile(rnd)
			all = append(all, v)
		}
	}
	return all
}()

const (
	stateSize = 1023
	half      = sha1.Size / 2
)

// pool is the state of OpenSSL 0.9.8's random number generator (md_rand.c) as
// Debian had it: what is added to the pool is not hashed, only counted. So all
// that a process draws follows from its number and from how much it added.
type pool struct {
	variant
	pid        uint32
	state      [stateSize + 1]byte // the last is written at times, and never read
	num, index int
	md         [sha1.Size]byte
	count      [2]uint64
	polled     bool
	stirred    bool
}

// newPool is the pool of `openssl genrsa` after it has read ~/.rnd.
func newPool(v variant, pid int) *pool {
	p := &pool{variant: v, pid: uint32(pid)}
	switch v.rnd {
	case rndRead:
		p.add(v.stat)
		p.add(1024)
	case rndMissing:
		p.poll()
	case rndShut:
		p.add(v.stat)
		p.poll()
	}
	return p
}

// poll is RAND_poll: 32 octets of /dev/urandom, the process number, the user's
// number and the time.
func (p *pool) poll() {
	p.add(32)
	for range 3 {
		p.add(p.word)
	}
	p.polled = true
}

// add is RAND_add of n octets, whatever they are.
func (p *pool) add(n int) {
	local, at, count := p.md, p.index, p.count
	p.index += n
	switch {
	case p.index >= stateSize:
		p.index %= stateSize
		p.num = stateSize
	case p.index > p.num:
		p.num = p.index
	}
	p.count[1] += uint64((n + sha1.Size - 1) / sha1.Size)
	for ; n > 0; n -= sha1.Size {
		size := min(n, sha1.Size)
		message := append(make([]byte, 0, 64), local[:]...)
		for i := range size {
			message = append(message, p.state[(at+i)%stateSize])
		}
		local = sha1.Sum(p.counters(message, count))
		count[1]++
		for i := range size {
			p.state[at] ^= local[i]
			if at++; at >= stateSize {
				at = 0
			}
		}
	}
	for i := range p.md {
		p.md[i] ^= local[i]
	}
}

// bytes is RAND_bytes.
func (p *pool) bytes(out []byte) {
	if !p.polled {
		p.poll()
	}
	if !p.stirred {
		for n := stateSize; n > 0; n -= sha1.Size {
			p.add(sha1.Size)
		}
		p.stirred = true
	}
	local, at, count := p.md, p.index, p.count
	if p.index += (len(out) + half - 1) / half * half; p.index > p.num {
		p.index %= p.num
	}
	p.count[0]++
	for pid := p.pid; len(out) > 0; pid = 0 {
		message := make([]byte, 0, 64)
		if pid != 0 { // only before the first block
			message = p.append(message, 4, uint64(pid))
		}
		message = p.counters(append(message, local[:]...), count)
		for i := range half {
			message = append(message, p.state[(at+i)%p.num])
		}
		local = sha1.Sum(message)
		for i := range half {
			p.state[at] ^= local[i]
			if at++; at >= p.num {
				at = 0
			}
		}
		out = out[copy(out, local[half:]):]
	}
	message := append(p.counters(make([]byte, 0, 64), count), local[:]...)
	p.md = sha1.Sum(append(message, p.md[:]...))
}

func (p *pool) counters(to []byte, count [2]uint64) []byte {
	return p.append(p.append(to, p.word, count[0]), p.word, count[1])
}

// append writes an integer of 4 or 8 octets.
func (p *pool) append(to []byte, size int, n uint64) []byte {
	var octets [8]byte
	if size == 8 {
		p.order.PutUint64(octets[:], n)
	} else {
		p.order.PutUint32(octets[:], uint32(n))
	}
	return append(to, octets[:size]...)
}
