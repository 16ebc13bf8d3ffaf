#!/usr/bin/env bash
# inside.sh is what life.sh has done in the machine that it boots.
set -euo pipefail
trap 'systemctl status --no-pager hsmd pkid || true; journalctl --no-pager -n 40 -u hsmd -u pkid' ERR
export DEBIAN_FRONTEND=noninteractive

started() { systemctl show -P ExecMainStartTimestampMonotonic "$1"; }
property() { systemctl show -P "$2" "$1"; }
as_pkid() { runuser -u pkid -- "$@"; }
issue() { as_pkid pkid write -field=serial_number pki/issue/example-com common_name="$1.example.com"; }

echo "-- a token, its PIN encrypted for this machine, and hsmd's file"
mkdir -p /etc/systemd/system/hsmd.service.d /etc/credstore.encrypted
test -s /usr/share/doc/hsmd/handbook/install.md
(! grep -l -e '^<!--' -e '](\.\./' /usr/share/doc/hsmd/handbook/*)
cp /usr/share/doc/hsmd/drop-ins/{softhsm,credentials}.conf /etc/systemd/system/hsmd.service.d/
printf 1234 | systemd-creds encrypt --name=ca-pin - /etc/credstore.encrypted/hsmd.ca-pin
head -c 32 /dev/urandom | base64 | systemd-creds encrypt --name=state-key - /etc/credstore.encrypted/hsmd.state-key
runuser -u hsmd -g softhsm -- softhsm2-util --init-token --free --label ca --pin 1234 --so-pin 5678 >/dev/null
# The blocks that are comments in the file as shipped.
sed -i -e 's/^# \(state_key\)/\1/' -e '/^# kms_library/,$s/^# \{0,1\}//' /etc/hsmd/hsmd.hcl
systemctl daemon-reload

echo "-- started"
systemctl start hsmd pkid
systemctl is-active hsmd pkid
property hsmd StatusText
property pkid StatusText
as_pkid pkid quickstart -cn "Example Root" -managed-key=root-2026 >/tmp/quickstart
grep '^The CA works' /tmp/quickstart

echo "-- reloaded, and given a socket by systemd"
systemctl reload hsmd pkid
systemctl stop hsmd
systemctl start hsmd.socket hsmd
hsmd key list
issue first

echo "-- systemctl reload returns when it is done"
cp /etc/hsmd/hsmd.hcl /tmp/hsmd.hcl
for i in 1 2 3 4 5 6; do
	sed '/^managed_key/,/^}/!d; s/root-2026/key-'"$i"'/g' /tmp/hsmd.hcl >>/etc/hsmd/hsmd.hcl
	systemctl reload hsmd
	hsmd key list | grep -q "^key-$i "
done
cp /tmp/hsmd.hcl /etc/hsmd/hsmd.hcl
systemctl reload hsmd
(! hsmd key list | grep '^key-')

echo "-- the journal knows how grave a line is"
cp /etc/hsmd/hsmd.hcl /tmp/hsmd.hcl
echo 'nonsense = 1' >>/etc/hsmd/hsmd.hcl
systemctl reload hsmd || true
for _ in $(seq 50); do
	journalctl --no-pager -u hsmd -p err | grep -q 'the configuration is not reloaded' && break
	sleep 0.2
done
journalctl --no-pager -u hsmd -p err | grep 'the configuration is not reloaded'
if journalctl --no-pager -u hsmd -p err | grep 'hsmd is ready'; then false; fi
cp /tmp/hsmd.hcl /etc/hsmd/hsmd.hcl
systemctl reload hsmd

echo "-- no core files, not dumpable, no capabilities, and the same of the worker"
for process in $(grep -lE '^(/usr/bin/)?(hsmd|pkid)' /proc/[0-9]*/cmdline); do
	pid=$(basename "$(dirname "$process")")
	grep -q "^Max core file size *0 *0 " "/proc/$pid/limits"
	grep -q "^CapPrm:	0000000000000000$" "/proc/$pid/status"
	grep -q "^NoNewPrivs:	1$" "/proc/$pid/status"
	test "$(stat -c %U "/proc/$pid/environ")" = root # as of a process that is not dumpable
	tr '\0' ' ' <"$process" && echo
done | sort | tee /tmp/processes
test "$(wc -l </tmp/processes)" -ge 3

echo "-- upgraded: hsmd is restarted, then pkid, and the CA goes on"
as_pkid pkid list pki/certs >/tmp/certs
hsmd_before=$(property hsmd MainPID)
pkid_before=$(property pkid MainPID)
dpkg -i /root/now/*.deb >/dev/null
test "$(property hsmd MainPID)" != "$hsmd_before"
test "$(property pkid MainPID)" != "$pkid_before"
test "$(started hsmd)" -lt "$(started pkid)"
grep -q '^kms_library' /etc/hsmd/hsmd.hcl
as_pkid pkid list pki/certs | diff /tmp/certs -
issue second

echo "-- removed: nothing runs, and the state is there"
dpkg --remove pkid hsmd
test ! -e /usr/bin/hsmd
if systemctl --quiet is-active hsmd.socket hsmd pkid; then
	exit 1
fi
test -s /var/lib/hsmd/audit.log
test -d /var/lib/pkid
echo "all is well"
