package main

import (
	"errors"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/hsmpki/hsmpki/config"
	"github.com/hsmpki/hsmpki/hsmd/auditlog"
	"github.com/hsmpki/hsmpki/hsmd/constraint"
	"github.com/hsmpki/hsmpki/hsmd/ledger"
	"github.com/hsmpki/hsmpki/hsmd/server"
)

// openLedger opens the ledger of the state directory and brings it to where the
// log of signatures is, and counted to what was signed today.
func openLedger(cfg *config.HSMD, audit *auditlog.Log, counted *constraint.Limiter, log *slog.Logger) (*ledger.Ledger, error) {
	began := time.Now()
	l, err := ledger.Open(ledger.Config{Dir: filepath.Join(cfg.StateDir, "ledger"), Log: log, Replayed: true})
	if err != nil {
		return nil, err
	}
	if l.Fresh() {
		log.Info("a new ledger: OCSP does not say \"good\" of certificates that are older than the log of signatures, but with unrecorded_good_until",
			"unrecorded_good_until", cfg.Ledger.UnrecordedGoodUntil)
	}
	if err := server.Replay(l, audit, counted); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	if n := counted.DropAhead(began); n > 0 {
		log.Warn("certificates were counted for a day that is not before the day after tomorrow: the clock was ahead, or is behind; max_per_day begins anew", "keys", n)
	}
	log.Debug("the ledger is open", "took", time.Since(began).Round(time.Millisecond))
	return l, nil
}
