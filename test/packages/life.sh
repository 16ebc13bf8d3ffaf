#!/usr/bin/env bash
# life.sh: the life of the packages on a Debian that is made for it: installed
# where systemd does not run; used, reloaded, upgraded and removed where it does
# (inside.sh, in a container that boots it); purged. As root.
set -euo pipefail
cd "$(dirname "$0")/../.."
if ((EUID != 0)); then
	echo "life.sh makes a root folder and boots it: it has to be root" >&2
	exit 1
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root

echo "== packages: what there is now, and what came before"
make --no-print-directory packages >"$work/make" || { cat "$work/make" && exit 1; }
version=$(sed -n 's/^const version = "\(.*\)"/\1/p' hsmd/main.go)
mkdir "$work/before" "$work/now"
for d in hsmd pkid; do
	cp bin/packages/${d}_"$version"_*.deb "$work/now"
	dpkg-deb -R bin/packages/${d}_"$version"_*.deb "$work/$d"
	sed -i 's/^Version: .*/Version: 0.0.1/' "$work/$d/DEBIAN/control"
	dpkg-deb -Zgzip -z1 -b "$work/$d" "$work/before/$d.deb" >/dev/null
	rm -r "${work:?}/$d"
done

echo "== a Debian"
. /etc/os-release
mirror=$(apt-get indextargets --format '$(REPO_URI)' "Codename: $VERSION_CODENAME" | head -n1)
debootstrap --variant=minbase --include=systemd-sysv,dbus,softhsm2 "$VERSION_CODENAME" "$root" "$mirror" >"$work/debootstrap" ||
	{ tail "$work/debootstrap" && exit 1; }
cp -r "$work/before" "$work/now" test/packages/inside.sh "$root/root/"

echo "== installed without a systemd that runs"
in_root() { chroot "$root" env DEBIAN_FRONTEND=noninteractive "$@"; }
in_root sh -c 'dpkg -i /root/before/*.deb' >/dev/null
in_root sh -c 'id hsmd && id pkid && stat -c "%U:%G %a %n" /etc/hsmd/hsmd.hcl /etc/pkid/pkid.hcl'
# An example that its program refuses would be a poor one.
in_root setpriv --reuid=hsmd --regid=hsmd --clear-groups hsmd check -config=/etc/hsmd/hsmd.hcl

echo "== used, upgraded and removed under systemd"
cat >"$root/etc/systemd/system/life.service" <<'UNIT'
[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/bin/bash /root/inside.sh
ExecStopPost=systemctl --no-block poweroff
StandardOutput=file:/root/said
StandardError=inherit
UNIT
mkdir -p "$root/etc/systemd/system/default.target.wants"
ln -s ../life.service "$root/etc/systemd/system/default.target.wants/"
# The container's own filter would take Landlock away.
timeout 180 systemd-nspawn --directory="$root" --boot --register=no --keep-unit --machine="life-$$" --link-journal=no \
	--system-call-filter="landlock_create_ruleset landlock_add_rule landlock_restrict_self" >"$work/boot" 2>&1 </dev/null || true
if ! tail -n1 "$root/root/said" 2>/dev/null | grep -qx "all is well"; then
	tail -n 30 "$work/boot"
	cat "$root/root/said"
	exit 1
fi
cat "$root/root/said"

echo "== purged"
in_root dpkg --purge pkid hsmd
test ! -e "$root/etc/hsmd/hsmd.hcl"
test ! -e "$root/etc/pkid/pkid.hcl"
test ! -e "$root/usr/bin/hsmd"
ls "$root/var/lib/hsmd" "$root/var/lib/pkid" | grep -q .
echo "== all is well"
