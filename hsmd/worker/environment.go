package worker

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/hsmpki/hsmpki/hsmd/confinement"
)

// ordersName is the variable in which a worker finds its orders. It executes
// itself without them when they are carried out.
const ordersName = "HSMD_WORKER"

// orders are what a worker does before it loads anything.
type orders struct {
	Rules confinement.Rules

	// Loader are variables of the stanza that are the dynamic loader's. They
	// name code that would run before the worker is shut in.
	Loader []string
}

// environment is hsmd's, less what is meant for hsmd alone, is secret or changes
// what the dynamic loader loads, plus the stanza's, and the orders.
func environment(own []string, l Library) ([]string, error) {
	var out []string
	for _, pair := range own {
		name, _, _ := strings.Cut(pair, "=")
		_, replaced := l.Env[name]
		switch {
		case replaced, slices.Contains(l.Withheld, name), name == "NOTIFY_SOCKET", name == "CREDENTIALS_DIRECTORY", name == ordersName,
			strings.HasPrefix(name, "AWS_"), strings.HasPrefix(name, "LISTEN_"), strings.HasPrefix(name, "LD_"), strings.HasPrefix(name, "WATCHDOG_"):
			continue
		}
		out = append(out, pair)
	}
	o := orders{Rules: confinement.Rules{Library: l.Path, Paths: l.Paths, OwnUser: l.User != ""}}
	for name, value := range l.Env {
		switch {
		case name == ordersName:
		case strings.HasPrefix(name, "LD_"):
			o.Loader = append(o.Loader, name+"="+value)
		default:
			out = append(out, name+"="+value)
		}
	}
	text, err := json.Marshal(o)
	return append(out, ordersName+"="+string(text)), err
}
