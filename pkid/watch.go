package main

import (
	"bytes"
	"log/slog"

	"github.com/hsmpki/hsmpki/pkid/mounts"
	"github.com/hsmpki/hsmpki/wire"
)

// watcher puts into the log, once for each change, which CA keys hsmd does not
// offer any more: before a certificate is needed, not when.
func watcher(table *mounts.Table, log *slog.Logger) func([]wire.KeyInfo, error) {
	trouble := map[string]string{}
	report := func(what, now string) {
		switch before := trouble[what]; {
		case now != "" && now != before:
			log.Error("a CA key cannot be used", "managed_key", what, "reason", now)
		case now == "" && before != "":
			log.Info("a CA key can be used again", "managed_key", what)
		}
		trouble[what] = now
	}
	away := false
	return func(known []wire.KeyInfo, err error) {
		if (err != nil) != away {
			away = err != nil
			if away {
				log.Error("hsmd is away; nothing can be signed", "error", err)
			} else {
				log.Info("hsmd answers")
			}
		}
		if err != nil {
			return
		}
		offered := map[string]*wire.KeyInfo{}
		for i := range known {
			offered[known[i].Definition.Name] = &known[i]
		}
		for _, m := range table.List() {
			if m.Authority == nil {
				continue
			}
			keys, _ := m.Authority.Keys()
			for _, k := range keys {
				report(k.ManagedName, wrong(offered[k.ManagedName], k.SPKI))
			}
		}
	}
}

func wrong(info *wire.KeyInfo, spki []byte) string {
	switch {
	case info == nil:
		return "hsmd does not offer it"
	case info.Fault != nil:
		return info.Fault.Err().Error()
	case len(info.PublicKey) > 0 && !bytes.Equal(info.PublicKey, spki):
		return "another key pair is there under its name"
	}
	return ""
}
