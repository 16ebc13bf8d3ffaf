kms_library "pkcs11" {
  name    = "softhsm"
  library = "/usr/lib/softhsm/libsofthsm2.so"
}
managed_key "pkcs11" "oaep" {
  library     = "softhsm"
  token_label = "ca"
  pin         = "env:CA_PIN"
  key_label   = "k"
  mechanism   = "0x0009"
}
managed_key "pkcs11" "rsa" {
  library     = "softhsm"
  token_label = "ca"
  pin         = "env:CA_PIN"
  key_label   = "k"
  mechanism   = "0x0001"
  curve       = "P256"
  allow_generate_key = true
}
managed_key "pkcs11" "rsa-small" {
  library     = "softhsm"
  token_label = "ca"
  pin         = "env:CA_PIN"
  key_label   = "k"
  mechanism   = "0x000D"
  key_bits    = 1024
}
managed_key "pkcs11" "ecdsa" {
  library     = "softhsm"
  token_label = "ca"
  pin         = "env:CA_PIN"
  key_label   = "k"
  mechanism   = "0x1041"
  key_bits    = 256
  allow_generate_key = true
}
managed_key "pkcs11" "curve" {
  library     = "softhsm"
  token_label = "ca"
  pin         = "env:CA_PIN"
  key_label   = "k"
  mechanism   = "0x1041"
  curve       = "p256"
}
managed_key "pkcs11" "ed" {
  library     = "softhsm"
  token_label = "ca"
  pin         = "env:CA_PIN"
  key_label   = "k"
  mechanism   = "0x1057"
  curve       = "P256"
}
managed_key "pkcs11" "by-id" {
  library     = "softhsm"
  token_label = "ca"
  pin         = "env:CA_PIN"
  key_id      = "01"
  mechanism   = "1057x"
  allow_generate_key = "yes"
  usages      = "sign,certify"
}
managed_key "pkcs11" "by-id-generated" {
  library     = "softhsm"
  token_label = "ca"
  pin         = "env:CA_PIN"
  key_id      = "01"
  mechanism   = "0x1057"
  allow_generate_key = true
}
managed_key "pkcs11" "ml-dsa" {
  library     = "softhsm"
  token_label = "ca"
  pin         = "env:CA_PIN"
  key_label   = "k"
  mechanism   = "0x001D"
  key_bits    = 2048
  curve       = "P256"
}
managed_key "pkcs11" "ml-dsa-generated" {
  library            = "softhsm"
  token_label        = "ca"
  pin                = "env:CA_PIN"
  key_label          = "k"
  mechanism          = "0x001D"
  allow_generate_key = true
}
