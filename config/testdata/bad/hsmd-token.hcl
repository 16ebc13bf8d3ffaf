kms_library "pkcs11" {
  name    = "softhsm"
  library = "/usr/lib/softhsm/libsofthsm2.so"
}
managed_key "pkcs11" "no-token" {
  library   = "softhsm"
  pin       = "env:CA_PIN"
  key_label = "k"
  mechanism = 1
}
managed_key "pkcs11" "pin-and-none" {
  library     = "softhsm"
  token_label = "ca"
  pin         = "env:CA_PIN"
  key_label   = "k"
  login       = "none"
  mechanism   = 1
}
managed_key "pkcs11" "other-login" {
  library     = "softhsm"
  token_label = "ca"
  pin         = "env:CA_PIN"
  key_label   = "k"
  login       = "so"
  mechanism   = 1
}
managed_key "pkcs11" "slot" {
  library   = "softhsm"
  slot      = "first"
  login     = "none"
  key_id    = "xyz"
  mechanism = 1
}
