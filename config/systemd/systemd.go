// Package systemd is what a daemon says to systemd, and takes from it: that it
// is ready, reloads and ends, how it is, that it lives, and sockets that are
// open already. Without systemd all of it does nothing. It knows nothing of what
// the daemon does. Start at [Manager.Watch].
package systemd

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// unwatched is how often a daemon says how it is where nobody waits for it.
const unwatched = 30 * time.Second

// Manager is systemd, as the daemon's environment names it.
type Manager struct {
	Log *slog.Logger
}

// Ready says that requests are answered, after a start or a reload.
func (m Manager) Ready() { m.notify(daemon.SdNotifyReady) }

// Reloading says that a reload has begun. systemd wants the time with it, to
// tell an answer to its own request from an earlier one.
func (m Manager) Reloading() {
	m.notify(daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec())
}

// Stopping says that the daemon ends.
func (m Manager) Stopping() { m.notify(daemon.SdNotifyStopping) }

// Watch has the daemon look after itself until ctx is done: what check says
// becomes the unit's status, and a check that went well keeps the watchdog
// quiet (WatchdogSec=). A check that fails, or that does not come back, leads to
// a restart, so it has to fail by what a restart mends and by nothing else. It
// should come back when its context is done, a third of WatchdogSec after it
// began.
func (m Manager) Watch(ctx context.Context, check func(context.Context) (status string, err error)) {
	if os.Getenv("NOTIFY_SOCKET") == "" {
		return // nobody listens
	}
	limit, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		m.Log.Warn("the watchdog cannot be served", "error", err)
	}
	every, well := unwatched, ""
	if limit > 0 {
		every, well = limit/3, daemon.SdNotifyWatchdog+"\n"
	}
	ticks := time.NewTicker(every)
	defer ticks.Stop()
	for {
		checking, done := context.WithTimeout(ctx, every)
		status, err := check(checking)
		done()
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			m.Log.Error("the daemon is not well", "error", err)
			m.notify("STATUS=" + err.Error())
		default:
			m.notify(well + "STATUS=" + status)
		}
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return
		}
	}
}

func (m Manager) notify(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		m.Log.Warn("systemd could not be told", "state", state, "error", err)
	}
}
