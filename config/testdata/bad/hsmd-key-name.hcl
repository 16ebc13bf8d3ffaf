kms_library "pkcs11" {
  name    = "softhsm"
  library = "/usr/lib/softhsm/libsofthsm2.so"
}
managed_key "pkcs11" "Root CA" {
  library     = "softhsm"
  token_label = "ca"
  pin         = "env:CA_PIN"
  key_label   = "k"
  mechanism   = 1
}
managed_key "pkcs11" "twice" {
  library     = "softhsm"
  token_label = "ca"
  pin         = "env:CA_PIN"
  key_label   = "k"
  mechanism   = 1
}
managed_key "awskms" "twice" {
  kms_key  = "alias/twice"
  key_type = "ecdsa"
}
managed_key "gcpckms" "g" {
}
managed_key "pkcs11" "" {
}
