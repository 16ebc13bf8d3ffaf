package main

import (
	"fmt"

	"github.com/hsmpki/hsmpki/config"
	"github.com/hsmpki/hsmpki/config/systemd"
	"github.com/hsmpki/hsmpki/wire/unixsock"
)

// listen opens all sockets, or none. One that systemd has opened is taken as it
// is, where mode and owner are what the file says: the file alone decides who
// may connect.
func listen(configured []config.Listener) (open []*unixsock.Listener, err error) {
	handed, err := systemd.Sockets()
	if err != nil {
		return nil, err
	}
	defer func() {
		for _, file := range handed {
			file.Close() // the listener has a copy
		}
		if err != nil {
			for _, l := range open {
				l.Close()
			}
			open = nil
		}
	}()
	taken := 0
	for _, c := range configured {
		var l *unixsock.Listener
		if file := handed[c.Address]; file != nil {
			l, err = unixsock.Inherit(socketOf(&c), file)
			taken++
		} else {
			l, err = unixsock.Listen(socketOf(&c))
		}
		if err != nil {
			return open, c.Place.Errorf("address", "listener: %v", err)
		}
		open = append(open, l)
	}
	if taken < len(handed) {
		return open, fmt.Errorf("systemd hands over %d sockets, and only %d of them are listeners in hsmd's file", len(handed), taken)
	}
	return open, nil
}

func socketOf(c *config.Listener) unixsock.Config {
	return unixsock.Config{Path: c.Address, Mode: c.SocketMode.Std(), User: c.SocketUser, Group: c.SocketGroup}
}
