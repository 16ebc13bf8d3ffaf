#!/usr/bin/env bash
# The tutorial, each command printed as it runs: from a new token to a
# certificate that openssl verifies. Starts from nothing each time.
set -euo pipefail
source "$(dirname "$0")/environment.sh"

place demo
finish pkid
finish hsmd
rm -rf "${dir:?}"/*

ended() {
	local code=$?
	finish pkid || true
	finish hsmd || true
	if ((code != 0)); then
		printf '\nThe demo failed. The logs are %s/hsmd.log and %s/pkid.log.\n' "$dir" "$dir" >&2
	fi
}
trap ended EXIT
trap 'exit 130' INT TERM

echo "== A token (SoftHSM stands for the HSM), and the two daemons"
token
configs
launch hsmd
launch pkid

echo
echo "== A key in the token, known to pkid by name only"
say pkid write sys/managed-keys/pkcs11/learn-managed-key library=softhsm "slot=$slot" "pin=$pin" \
	key_label=learn-managed-key mechanism=0x0001 key_bits=4096 \
	allow_generate_key=true allow_store_key=true any_mount=false
say pkid read sys/managed-keys/pkcs11/learn-managed-key
say pkid write -f sys/managed-keys/pkcs11/learn-managed-key/test/sign

echo
echo "== A CA that uses it"
say pkid secrets enable -path=pki pki
say pkid secrets tune -allowed-managed-keys=learn-managed-key pki
say pkid write -field=certificate pki/root/generate/kms managed_key_name=learn-managed-key \
	common_name=example.com ttl=8760h | tee "$dir/root.out"
say pkid write pki/config/urls issuing_certificates=http://127.0.0.1:8200/v1/pki/ca \
	crl_distribution_points=http://127.0.0.1:8200/v1/pki/crl
say pkid write pki/roles/example-dot-com allowed_domains=example.com allow_subdomains=true max_ttl=72h

echo
echo "== Certificates"
say pkid write pki/issue/example-dot-com common_name=test.example.com
(cd "$dir" && say pkid issue www.example.com)
say pkid certs

echo
echo "== Verified by openssl"
say openssl verify -x509_strict -CAfile "$dir/www.example.com.ca.crt" "$dir/www.example.com.crt"

cat <<END

That was all of it: the CA's key was made in the token and has never left it.

How to go on:
  make up                                keeps both daemons running, in ./run/up
  pkid quickstart -cn "Example Root"     the same in one command, each call printed
  $dir       the configuration and logs of this run
  README.md                              what this promises, and what not
END
