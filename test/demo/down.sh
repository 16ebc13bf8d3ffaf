#!/usr/bin/env bash
# Ends what make up has started. Its state stays.
set -euo pipefail
source "$(dirname "$0")/environment.sh"

for name in up demo; do
	if [[ -e $root/run/$name ]]; then
		place $name
		finish pkid
		finish hsmd
	fi
done
