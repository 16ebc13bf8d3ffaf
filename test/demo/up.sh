#!/usr/bin/env bash
# Starts both daemons on a token of their own, and leaves them running. What
# they have stored is there again the next time.
set -euo pipefail
source "$(dirname "$0")/environment.sh"

place up
token
port=${PORT:-8200}
if running hsmd && running pkid; then
	echo "Both daemons are running already."
else
	finish pkid
	finish hsmd
	listener=
	# CA certificates and CRLs, for whoever asks; all else wants the socket.
	if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
		listener="listener \"tcp\" {
  address     = \"127.0.0.1:$port\"
  tls_disable = true
}"
	else
		echo "Port $port is taken: no HTTP there. make down and PORT=… make up take another."
	fi
	configs "$listener"
	launch hsmd
	launch pkid
fi

# Where relying parties reach pkid is written into certificates: of the port
# that it has, quickstart must know if it is not its default.
port=$(sed -n 's/.*"127\.0\.0\.1:\([0-9]*\)".*/\1/p' "$dir/pkid.hcl")
url=
if [[ -n $port && $port != 8200 ]]; then
	url=" -url=http://127.0.0.1:$port"
fi

cat <<END

hsmd and pkid are running, on a SoftHSM token labelled "$label" in slot $slot, PIN $pin.
In your shell:

  export PATH=$root/bin:\$PATH PKID_ADDR=$PKID_ADDR
  pkid quickstart -cn "Example Root"$url
  pkid issue web.example.com

Files and logs are in $dir. make down ends both.
END
