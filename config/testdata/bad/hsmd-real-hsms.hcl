kms_library "pkcs11" {
  name          = "luna"
  library       = "/usr/lib/libCryptoki2_64.so"
  key_id_length = 0
}
kms_library "pkcs11" {
  name          = "yubihsm"
  library       = "/usr/lib/yubihsm_pkcs11.so"
  key_id_length = "two"
}
managed_key "pkcs11" "never-made" {
  library            = "luna"
  token_label        = "ca"
  pin                = "env:CA_PIN"
  key_label          = "k"
  mechanism          = 1
  generate_mechanism = "0x0A"
}
managed_key "pkcs11" "made-how" {
  library            = "luna"
  token_label        = "ca"
  login              = "crypto_user"
  key_label          = "k"
  mechanism          = 1
  key_bits           = 4096
  allow_generate_key = true
  generate_mechanism = "CKM_RSA_X9_31_KEY_PAIR_GEN"
}
managed_key "pkcs11" "public" {
  library     = "luna"
  token_label = "ca"
  login       = "none"
  key_label   = "k"
  mechanism   = 1
  public_key  = "file:ca.pem"
}
managed_key "pkcs11" "public-path" {
  library     = "luna"
  token_label = "ca"
  login       = "context_specific"
  key_label   = "k"
  mechanism   = 1
  public_key  = "/etc/hsmd/ca.pem"
}
