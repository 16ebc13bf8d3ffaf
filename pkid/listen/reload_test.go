package listen_test

import (
	"log/slog"
	"testing"

	"github.com/hsmpki/hsmpki/config"
	"github.com/hsmpki/hsmpki/pkid/listen"
)

// What a listener is open with stays until a restart, which has to be said:
// above all of what strangers may see.
func TestNeedRestart(t *testing.T) {
	open := config.Listener{Type: "tcp", Address: "127.0.0.1:0", TLSDisable: true, UnauthenticatedMetricsAccess: true}
	ls, err := listen.Open([]config.Listener{open}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer ls.Close()
	if changes := ls.NeedRestart([]config.Listener{open}); len(changes) != 0 {
		t.Errorf("nothing has changed: %v", changes)
	}
	for name, change := range map[string]func(*config.Listener){
		"unauthenticated_metrics_access":   func(c *config.Listener) { c.UnauthenticatedMetricsAccess = false },
		"x_forwarded_for_authorized_addrs": func(c *config.Listener) { c.XForwardedForAuthorizedAddrs = []string{"127.0.0.1"} },
	} {
		next := open
		change(&next)
		if changes := ls.NeedRestart([]config.Listener{next}); len(changes) != 1 {
			t.Errorf("%s: %v", name, changes)
		}
	}
}
