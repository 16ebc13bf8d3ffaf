package main

import (
	"fmt"
	"log/slog"
	"os"

	"github.com/hsmpki/hsmpki/hsmd/pkcs11"
	"github.com/hsmpki/hsmpki/hsmd/worker"
)

// runWorker is the process that loads a vendor's library. hsmd starts it; its
// log, like whatever the library prints, goes to hsmd.
func runWorker() {
	err := worker.Run(func() worker.Service {
		return pkcs11.New(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "hsmd worker:", err)
		os.Exit(exitLocal)
	}
}
