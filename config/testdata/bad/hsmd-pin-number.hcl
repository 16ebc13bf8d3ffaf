kms_library "pkcs11" {
  name    = "softhsm"
  library = "/usr/lib/softhsm/libsofthsm2.so"
}
managed_key "pkcs11" "k" {
  library     = "softhsm"
  token_label = "ca"
  pin         = 4711
  key_label   = "k"
  mechanism   = 1
}
