#!/bin/sh
# dpkg calls this to configure the package, rpm when it is unpacked; with or
# without a systemd that runs.
set -e
systemd-sysusers PROGRAM.conf
for path in /etc/PROGRAM /etc/PROGRAM/PROGRAM.hcl; do
	if [ -e "$path" ]; then
		chgrp PROGRAM "$path"
	fi
done
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
	# Nothing is started that was not running: it has no keys yet. pkid depends on
	# hsmd, so of the two hsmd is first here.
	systemctl try-restart PROGRAM.service || echo "PROGRAM did not start again: see journalctl -u PROGRAM" >&2
fi
