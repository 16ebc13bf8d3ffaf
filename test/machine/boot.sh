#!/bin/bash
# boot.sh boots a machine in a mount namespace of its own: this machine's files,
# below a layer in memory that is gone with it. Arguments: a folder to mount in,
# this tree, the programs, the folder that machines share, a name, and what else
# systemd-nspawn is to be told: what to run, above all.
set -euo pipefail
work=$1 tree=$2 bin=$3 shared=$4 name=$5
shift 5
mount -t tmpfs machine "$work"
mkdir "$work"/{upper,work,root}
mount -t overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/work" machine "$work/root"
root=$work/root
# What nspawn notes of a machine, by its name, is for this one alone.
mkdir -p /run/systemd/nspawn
mount -t tmpfs nspawn /run/systemd/nspawn

# What the packages bring.
for d in hsmd pkid; do
	install -D -m 0755 "$bin/$d" "$root/usr/bin/$d"
	install -D -m 0644 -t "$root/usr/lib/systemd/system" "$tree/$d/systemd/"*.service
	install -D -m 0644 "$tree/$d/systemd/$d-sysusers.conf" "$root/usr/lib/sysusers.d/$d.conf"
	install -D -m 0644 -t "$root/usr/share/doc/$d/drop-ins" "$tree/$d/systemd/drop-ins/"*.conf
done
install -D -m 0644 -t "$root/usr/lib/systemd/system" "$tree/hsmd/systemd/hsmd.socket"
systemd-sysusers --root="$root" "$root/usr/lib/sysusers.d/hsmd.conf" "$root/usr/lib/sysusers.d/pkid.conf"
for d in hsmd pkid; do
	install -d -m 0750 "$root/etc/$d"
	install -m 0640 "$tree/$d/package/$d.hcl" "$root/etc/$d/$d.hcl"
	chroot "$root" chgrp -R "$d" "/etc/$d"
done

# No more of this machine's services than a shell and the two need.
cat >"$root/etc/systemd/system/handbook.target" <<'UNIT'
[Unit]
Requires=dbus.socket systemd-journald.service
After=systemd-journald.service
UNIT
echo "$name" >"$root/etc/hostname"
rm -f "$root/etc/machine-id"
: >"$root/etc/machine-id"
rm -rf "$root/var/lib/softhsm/tokens"
install -d -m 2770 "$root/var/lib/softhsm/tokens"
chroot "$root" chown root:softhsm /var/lib/softhsm/tokens

# nspawn's own filter of system calls would take Landlock away.
exec systemd-nspawn --quiet --directory="$root" --register=no --keep-unit --link-journal=no --machine="$name" --hostname="$name" \
	--tmpfs=/root:mode=0700 --bind="$shared/backup:/backup" --bind="$shared/usb:/media/usb" --bind="$shared/steps:/steps" \
	--system-call-filter="landlock_create_ruleset landlock_add_rule landlock_restrict_self" "$@"
