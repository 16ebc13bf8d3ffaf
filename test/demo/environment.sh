# Sourced by the scripts beside it: where things are, and how the two daemons
# are started and ended. NAME is "demo" or "up"; each has a folder of its own
# under ./run, so that they do not disturb each other.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
label=demo
pin=1234

# place NAME sets $dir, and makes it. The path of a Unix socket has 107 octets
# at most: where the checkout lies too deep, ./run/NAME is a link into /tmp.
place() {
	dir=$root/run/$1
	mkdir -p "$root/run"
	if [[ ! -e $dir ]]; then
		rm -f "$dir" # a link to what is gone
		if ((${#dir} > 85)); then
			ln -s "$(mktemp -d /tmp/hsmpki-XXXXXX)" "$dir"
		else
			mkdir -m 0700 "$dir"
		fi
	fi
	dir=$(readlink -f "$dir")
	export PATH=$root/bin:$PATH
	export SOFTHSM2_CONF=$dir/softhsm2.conf
	export PKID_ADDR=unix://$dir/pkid.sock
	unset PKID_TOKEN VAULT_TOKEN VAULT_ADDR
}

# say COMMAND... prints the command as one would type it, and runs it.
say() {
	local word line='$'
	for word; do
		if [[ $word =~ ^[A-Za-z0-9_./:=,@%+-]+$ ]]; then line+=" $word"; else line+=" '$word'"; fi
	done
	printf '\n%s\n' "$line"
	"$@"
}

# token makes a SoftHSM token, once, and sets $slot.
token() {
	if [[ ! -e $dir/slot ]]; then
		mkdir -p "$dir/tokens"
		printf 'directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n' "$dir/tokens" >"$SOFTHSM2_CONF"
		say softhsm2-util --init-token --free --label $label --pin $pin --so-pin 5678 | tee "$dir/token.out"
		sed -n 's/.*reassigned to slot \([0-9]*\).*/\1/p' "$dir/token.out" >"$dir/slot.new"
		test -s "$dir/slot.new"
		mv "$dir/slot.new" "$dir/slot"
		(umask 077 && echo $pin >"$dir/pin")
	fi
	slot=$(cat "$dir/slot")
}

softhsm_library() {
	local path
	for path in /usr/lib/softhsm/libsofthsm2.so /usr/lib/*/softhsm/libsofthsm2.so /usr/lib64/softhsm/libsofthsm2.so /usr/lib64/pkcs11/libsofthsm2.so; do
		if [[ -e $path ]]; then
			echo "$path"
			return
		fi
	done
	echo "libsofthsm2.so is nowhere to be found" >&2
	return 1
}

# configs writes both files. $1 is added to pkid's.
configs() {
	cat >"$dir/hsmd.hcl" <<-END
		state_dir = "$dir/hsmd"

		listener "unix" {
		  address = "$dir/hsmd.sock"
		}

		kms_library "pkcs11" {
		  name    = "softhsm"
		  library = "$(softhsm_library)"
		  env     = { SOFTHSM2_CONF = "$SOFTHSM2_CONF" }
		}

		# Keys may be defined through the API, as the tutorial does it.
		wire_keys {
		  libraries = ["softhsm"]
		}

		# Where keys are made that have no definition of their own.
		internal_keys {
		  library     = "softhsm"
		  token_label = "$label"
		  pin         = "file:$dir/pin"
		}
	END
	cat >"$dir/pkid.hcl" <<-END
		storage "pebble" { path = "$dir/pkid" }
		hsmd { address = "$dir/hsmd.sock" }
		listener "unix" { address = "$dir/pkid.sock" }
		${1:-}
	END
}

# running PROGRAM: does the process that its pid file names still run? Its name
# is asked for, not its file: hsmd is not dumpable, which hides its links in
# /proc from its own user too.
running() {
	[[ -s $dir/$1.pid ]] && [[ $(cat "/proc/$(cat "$dir/$1.pid")/comm" 2>/dev/null) == "$1" ]]
}

# launch PROGRAM starts it and waits until its socket takes connections.
launch() {
	printf '\n$ %s server -config=%s &\n' "$1" "$dir/$1.hcl"
	"$root/bin/$1" server -config="$dir/$1.hcl" >>"$dir/$1.log" 2>&1 &
	echo $! >"$dir/$1.pid"
	disown
	local i
	for ((i = 0; i < 300; i++)); do
		if answers "$1"; then
			return
		fi
		kill -0 "$(cat "$dir/$1.pid")" 2>/dev/null || break
		sleep 0.1
	done
	echo "$1 did not start; its log, $dir/$1.log, ends in:" >&2
	tail -n 20 "$dir/$1.log" >&2
	return 1
}

answers() {
	case $1 in
	hsmd) "$root/bin/hsmd" key list -address="$dir/hsmd.sock" ;;
	pkid) "$root/bin/pkid" status ;;
	esac >/dev/null 2>&1
}

# finish PROGRAM ends it by its number and waits until it is gone.
finish() {
	if running "$1"; then
		kill -TERM "$(cat "$dir/$1.pid")"
		local i
		for ((i = 0; i < 150; i++)); do
			running "$1" || break
			sleep 0.1
		done
		if running "$1"; then
			echo "$1 (process $(cat "$dir/$1.pid")) does not end" >&2
			return 1
		fi
	fi
	rm -f "$dir/$1.pid"
}
