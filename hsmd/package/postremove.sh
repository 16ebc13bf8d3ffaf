#!/bin/sh
# dpkg says "remove", "purge" or "upgrade"; rpm how many versions stay. The state
# of a CA is kept, after a purge too: what it has signed stays valid.
set -e
case $1 in
remove | purge | 0)
	if [ -d /run/systemd/system ]; then
		systemctl daemon-reload
	fi
	if [ -d /var/lib/PROGRAM ]; then
		echo "/var/lib/PROGRAM and the user PROGRAM are kept."
	fi
	;;
esac
