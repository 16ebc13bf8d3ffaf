kms_library "pkcs11" {
  name    = "softhsm"
  library = "/usr/lib/softhsm/libsofthsm2.so"
}
approver "alice" {
  keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAabcdefghijklmnopqrstuvwxyz012345678901234 alice"]
}
approver "alice" {
}
managed_key "pkcs11" "root" {
  library     = "softhsm"
  token_label = "ca"
  pin         = "env:PIN"
  key_label   = "root"
  mechanism   = "0x1041"
  curve       = "P256"
  approval {
    quorum    = 3
    approvers = ["alice", "bob"]
    sign      = ["certificates"]
    expires   = "0s"
  }
}
managed_key "pkcs11" "other" {
  library     = "softhsm"
  token_label = "ca"
  pin         = "env:PIN"
  key_label   = "other"
  mechanism   = "0x1041"
  curve       = "P256"
  approval {
  }
}
