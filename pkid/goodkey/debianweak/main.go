// Debianweak makes the RSA moduli of CVE-2008-0166: those of each key that
// `openssl genrsa` could make on Debian and its descendants from 2006 to 2008,
// when nothing but the number of its process went into OpenSSL's random number
// generator. For each size there are 294,912: of 32,768 numbers, three kinds of
// machine, and three states of the file ~/.rnd.
//
//	go run ./pkid/goodkey/debianweak -bits 4096 > rsa-4096
//
// writes their fingerprints, sorted, in the form of the files of Debian's
// package openssl-blacklist, for pkid's blocked_keys. That takes about 5 hours
// of a core for 2048 bits, 12 for 3072, 30 for 4096 and 300 for 8192.
//
// With -table FILE it writes the table that package goodkey has for a size.
package main

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/hsmpki/hsmpki/pkid/goodkey"
)

const processes = 32768

func main() {
	size := flag.Int("bits", 2048, "size of the moduli")
	table := flag.String("table", "", "write a table of package goodkey to this `file`, not a list to the output")
	flag.Parse()
	if flag.NArg() > 0 || *size < 1024 || *size > 8192 || *size%16 != 0 {
		flag.Usage()
		os.Exit(2)
	}
	found := all(*size)
	var err error
	if *table != "" {
		err = os.WriteFile(*table, encode(found), 0o644)
	} else {
		err = list(os.Stdout, found)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "debianweak:", err)
		os.Exit(1)
	}
}

// all makes the moduli of a size on all cores, and sorts their fingerprints.
func all(size int) []goodkey.Fingerprint {
	found := make([]goodkey.Fingerprint, processes*len(variants))
	var next atomic.Int64
	var working sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		working.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(found) {
					return
				}
				found[i] = goodkey.FingerprintOf(modulus(variants[i%len(variants)], i/len(variants), size))
				if i%1000 == 0 {
					fmt.Fprintf(os.Stderr, "\r%d of %d", i, len(found))
				}
			}
		})
	}
	working.Wait()
	fmt.Fprintln(os.Stderr)
	slices.SortFunc(found, func(x, y goodkey.Fingerprint) int { return bytes.Compare(x[:], y[:]) })
	return slices.Compact(found)
}

func encode(sorted []goodkey.Fingerprint) []byte {
	out := make([]byte, 0, len(sorted)*goodkey.TableEntry)
	for _, f := range sorted {
		out = append(out, f[:goodkey.TableEntry]...)
	}
	return out
}

func list(to io.Writer, sorted []goodkey.Fingerprint) error {
	w := bufio.NewWriter(to)
	for _, f := range sorted {
		fmt.Fprintf(w, "%x\n", f)
	}
	return w.Flush()
}
