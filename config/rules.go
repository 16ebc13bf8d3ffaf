package config

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"log/slog"
)

// Rule is one thing that a configuration comes to, in words: which key there is,
// who may do what. It never has a secret in it.
type Rule struct {
	Subject string // what it is about; unique among the rules of a daemon
	Text    string // what is in force
	Hidden  Hidden // what is compared beside the text, and not shown
}

// Hidden is the digest of a value that is not shown, such as a PIN.
type Hidden [sha256.Size]byte

// Hide makes the digest of a value of plain fields.
func Hide(v any) Hidden {
	text, _ := json.Marshal(v) // which never fails for plain fields
	return sha256.Sum256(text)
}

// LogChanges logs how the rules differ from those before, each in a line, and
// gives how many do. Before is nil when a daemon starts.
func LogChanges(log *slog.Logger, before, now []Rule) (changed int) {
	was, is := bySubject(before), bySubject(now)
	for _, r := range now {
		old, there := was[r.Subject]
		switch {
		case !there:
			log.Info("rule added", "rule", r.Subject, "is", r.Text)
		case old.Text != r.Text:
			log.Info("rule changed", "rule", r.Subject, "was", old.Text, "is", r.Text)
		case old.Hidden != r.Hidden:
			log.Info("rule changed", "rule", r.Subject, "is", r.Text, "changed", "what is not shown, such as a PIN")
		default:
			continue
		}
		changed++
	}
	for _, r := range before {
		if _, there := is[r.Subject]; !there {
			log.Info("rule removed", "rule", r.Subject, "was", r.Text)
			changed++
		}
	}
	return changed
}

func bySubject(rules []Rule) map[string]Rule {
	m := make(map[string]Rule, len(rules))
	for _, r := range rules {
		m[r.Subject] = r
	}
	return m
}

// LogFaults logs each fault of a file that is not taken, with its place.
func LogFaults(log *slog.Logger, err error) {
	all := faults(err)
	for _, fault := range all {
		log.Error("a fault in the configuration", "fault", fault.Error())
	}
	log.Error("the configuration is not reloaded, what was in force stays", "faults", len(all))
}

// faults takes joined errors apart.
func faults(err error) (all []error) {
	if list, ok := errors.AsType[Diagnostics](err); ok {
		for _, d := range list {
			all = append(all, d)
		}
		return all
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	for _, e := range joined.Unwrap() {
		all = append(all, faults(e)...)
	}
	return all
}
