package main

import (
	"os"
	"runtime"
)

// shareProcessors leaves half of the processors to others. A signature is a
// chain of short steps in three processes, hsmd's own the shortest: with more
// processors than it can fill, the runtime wakes a thread for each step that
// looks for work and finds none. A worker fits its own to its library (package
// pkcs11).
//
// GOMAXPROCS in the environment goes first.
func shareProcessors() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(max(1, runtime.GOMAXPROCS(0)/2))
	}
}
