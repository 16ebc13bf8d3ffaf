#!/usr/bin/env bash
# install.sh build|demo|test|packages: sees that what is needed is there. As root with
# apt-get it installs what is missing; otherwise it names the packages.
set -euo pipefail

# What to look for, and the package of Debian and Ubuntu that has it.
build=(gcc=gcc /usr/include/stdlib.h=libc6-dev)
demo=("${build[@]}" softhsm2-util=softhsm2 openssl=openssl)
tests=("${demo[@]}" systemd-analyze=systemd pkcs11-tool=opensc p11-kit=p11-kit /usr/lib/*/pkcs11/p11-kit-client.so=p11-kit-modules p11tool=gnutls-bin certutil=libnss3-tools curl=curl
	swtpm=swtpm dbus-daemon=dbus-daemon tpm2-abrmd=tpm2-abrmd tpm2_getrandom=tpm2-tools tpm2_ptool=libtpm2-pkcs11-tools
	/usr/lib/*/libtpm2_pkcs11.so.1=libtpm2-pkcs11-1 /usr/lib/*/libtss2-tcti-tabrmd.so.0=libtss2-tcti-tabrmd0 pkcsslotd=opencryptoki
	systemd-nspawn=systemd-container /usr/lib/systemd/system/dbus.socket=dbus ssh-keygen=openssh-client)

case ${1:-} in
build) needs=("${build[@]}") ;;
demo) needs=("${demo[@]}") ;;
test) needs=("${tests[@]}") ;;
packages) needs=("${build[@]}" debootstrap=debootstrap rpm=rpm systemd-nspawn=systemd-container) ;;
*) echo "usage: $0 build|demo|test|packages" >&2 && exit 1 ;;
esac

there() {
	case $1 in
	/*) compgen -G "$1" >/dev/null ;;
	*) command -v "$1" >/dev/null || test -x "/usr/sbin/$1" ;;
	esac
}

# A Go before 1.21 does not know that it may fetch another: it complains about
# go.mod, in words that help nobody.
if ! there go || [[ $(printf '%s\n' go1.21 "$(cd / && GOTOOLCHAIN=local go env GOVERSION)" | sort -V | head -n1) != go1.21 ]]; then
	echo "Go 1.21 or later is needed, $(go version 2>/dev/null || echo "and there is none"): see https://go.dev/dl/ (it fetches the version of go.mod itself)" >&2
	exit 1
fi
missing=()
for need in "${needs[@]}"; do
	there "${need%=*}" || missing+=("${need##*=}")
done
if ((${#missing[@]} == 0)); then
	exit 0
fi
if ((EUID != 0)) || ! command -v apt-get >/dev/null; then
	echo "These packages are missing: ${missing[*]}" >&2
	echo "On Debian and Ubuntu: sudo apt-get install ${missing[*]}" >&2
	exit 1
fi
echo "Installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -q -y --no-install-recommends "${missing[@]}"
