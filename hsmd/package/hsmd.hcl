# hsmd's configuration: which libraries, which keys, and who may use them. After
# a change: hsmd check -config=/etc/hsmd/hsmd.hcl, and systemctl reload hsmd.

listener "unix" {
  address      = "/run/hsmd/hsmd.sock" # hsmd.socket says the same
  socket_mode  = "0660"
  socket_group = "hsm-clients"
}

client "pkid" {
  group        = "hsm-clients"
  capabilities = ["sign", "generate", "test"]
}

# What systemd decrypts for the unit: see drop-ins/credentials.conf.
# state_key = "file:/run/credentials/hsmd.service/state-key"

# kms_library "pkcs11" {
#   name    = "softhsm" # with drop-ins/softhsm.conf
#   library = "/usr/lib/softhsm/libsofthsm2.so"
#   paths   = ["/var/lib/softhsm", "/etc/softhsm"]
# }

# managed_key "pkcs11" "root-2026" {
#   library            = "softhsm"
#   token_label        = "ca"
#   pin                = "file:/run/credentials/hsmd.service/ca-pin"
#   key_label          = "root-2026"
#   mechanism          = "0x1041"
#   curve              = "P256"
#   allow_generate_key = true
#   any_mount          = true
# }
