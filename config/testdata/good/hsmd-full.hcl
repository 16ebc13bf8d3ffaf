# All that hsmd has today.
state_dir = "/var/lib/hsmd"
state_key = "file:/run/credentials/hsmd.service/state-key"
log_level = "debug"

listener "unix" {
  address      = "/run/hsmd/hsmd.sock"
  socket_mode  = "0600"
  socket_user  = 0
  socket_group = "pkid"
}

kms_library "pkcs11" {
  name         = "softhsm"
  library      = "/usr/lib/softhsm/libsofthsm2.so"
  max_sessions = "16"
  env          = { SOFTHSM2_CONF = "/etc/softhsm/softhsm2.conf" }
  init_args    = ""
  paths        = null
  user         = ""
}

kms_library "pkcs11" {
  name    = "nss"
  library = "/usr/lib/softokn.so"
  key_id_length = 2
  init_args = "configdir='sql:/var/lib/nss'"
}

client "pkid" {
  user         = "pkid"
  capabilities = ["sign", "generate"]
}

client "operators" {
  group        = "staff"
  capabilities = ["test", "configure", "audit", "approve"]
  keys         = ["issuing-2026"]
}

wire_keys {
  libraries = ["softhsm"]
  max_keys  = 7
  regions   = ["eu-west-1"]
  endpoints = ["https://kms.example.com"]
}

internal_keys {
  library     = "softhsm"
  token_label = "ca"
  pin         = "file:/run/credentials/hsmd.service/ca-pin"
}

managed_key "pkcs11" "issuing-2026" {
  library            = "softhsm"
  token_label        = "ca"
  pin                = "env:CA_PIN"
  key_label          = "issuing-2026"
  key_id             = "0x0A1b"
  mechanism          = "0x1041"
  curve              = "P256"
  allow_generate_key = "true"
  any_mount          = true
}

managed_key "pkcs11" "root-rsa" {
  library           = "SoftHSM"
  slot              = "2305843009213693953"
  pin               = "1234"
  key_label         = "root"
  mechanism         = 13
  key_bits          = "4096"
  allow_replace_key = 0
  allow_store_key   = "false"
  force_rw_session  = 1
  max_parallel      = 4
  usages            = "sign, verify"
}

managed_key "pkcs11" "ed" {
  library      = "nss"
  token_serial = "0f12"
  slot         = 3
  login        = "none"
  key_label    = "ed"
  mechanism    = "4183"
}

managed_key "pkcs11" "luna" {
  library            = "nss"
  token_label        = "partition"
  login              = "crypto_user"
  pin                = "file:/run/credentials/hsmd.service/ca-pin"
  key_label          = "luna"
  mechanism          = "0x0001"
  key_bits           = 3072
  allow_generate_key = true
  generate_mechanism = "0x80000142"
  public_key         = "file:/etc/hsmd/luna.pem"

  copy {
    token_label = "partition-2"
    pin         = "file:/run/credentials/hsmd.service/ca-pin-2"
  }
  copy {
    library   = "softhsm"
    slot      = 4
    login     = "none"
    key_label = "luna-backup"
  }
}

managed_key "awskms" "cloud" {
  kms_key             = "alias/cloud"
  key_type            = "rsa"
  key_bits            = "2048"
  region              = "eu-west-1"
  requests_per_second = 100
}

managed_key "awskms" "cloud-pq" {
  access_key         = "env:AWS_KEY"
  secret_key         = "file:/run/credentials/hsmd.service/aws-secret"
  endpoint           = "http://127.0.0.1:4566"
  kms_key            = "alias/cloud-pq"
  key_type           = "ml-dsa-65"
  allow_generate_key = true
}

approver "alice" {
  keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJL0fvIkzGVu5KjDnSl3NkYnd+5q1H/cRvBBLyVQmuNa alice"]
}

approver "bob" {
  keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFZcu9NMOmrDVrW1rMvn+UvDTzmnvd5nBQqyn5CqlPCb bob"]
}

managed_key "pkcs11" "offline-root" {
  library     = "softhsm"
  token_label = "root"
  pin         = "env:ROOT_PIN"
  key_label   = "root"
  mechanism   = "0x1041"
  curve       = "P384"

  approval {
    quorum    = 2
    approvers = ["alice", "bob"]
    sign      = ["certificate", "crl"]
    expires   = "24h"
  }
}

audit_log = "/var/log/hsmd/audit.log"

witness "elsewhere" {
  url      = "https://witness.example.com/api"
  key      = "witness.example.com/w1+a16ce9e2+BAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB"
  required = true
}

ledger {
  unrecorded_good_until = "2027-03-01T00:00:00+01:00"
}

managed_key "pkcs11" "constrained" {
  library     = "softhsm"
  token_label = "ca"
  pin         = "env:CA_PIN"
  key_label   = "constrained"
  mechanism   = 1

  constraints {
    sign                      = ["csr", "certificate", "crl", "ocsp"]
    ca                        = true
    max_path_length           = 0
    max_ttl                   = "2160h"
    max_backdate              = "1h"
    max_crl_validity          = "10d"
    max_ocsp_validity         = "24h"
    permitted_dns_domains     = ["example.com"]
    excluded_ip_ranges        = ["10.0.0.0/8"]
    permitted_directory_names = ["O=Example,C=NL"]
    permitted_other_names     = ["1.3.6.1.4.1.311.20.2.3"]
    public_key_types          = ["P256", "RSA-3072"]
    extended_key_usages       = ["server_auth", "1.3.6.1.5.5.7.3.17"]
    permitted_extensions      = ["2.5.29.31", "1.3.6.1.5.5.7.1.1"]
    permitted_policies        = ["2.23.140.1.2.1"]
    issuer                    = ["file:/etc/hsmd/issuing.pem"]
    rate                      = 100
    burst                     = 200
    max_per_day               = 5000
    hours                     = ["Mon-Fri 08:00-18:00"]
    time_zone                 = "Europe/Berlin"
  }
}
