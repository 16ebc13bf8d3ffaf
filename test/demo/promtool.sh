#!/usr/bin/env bash
# promtool.sh FILE: puts promtool there, the one on the path or that of Debian's
# package of Prometheus.
set -euo pipefail
to=$1
if found=$(command -v promtool); then
	ln -sf "$found" "$to"
	exit
fi
command -v apt-get >/dev/null || { echo "promtool is missing; it comes with Prometheus" >&2; exit 1; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
chmod 755 "$dir"
(cd "$dir" && apt-get download -q prometheus && dpkg-deb -x prometheus_*.deb .)
mv "$dir/usr/bin/promtool" "$to"
