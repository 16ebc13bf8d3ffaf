#!/bin/sh
# dpkg says "remove" or "upgrade"; rpm how many versions stay.
set -e
case $1 in
remove | 0)
	units=$(cd /usr/lib/systemd/system && echo PROGRAM.*)
	if [ -d /run/systemd/system ]; then
		systemctl --quiet disable --now $units
	else
		systemctl --quiet disable $units
	fi
	;;
esac
