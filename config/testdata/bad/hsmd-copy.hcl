kms_library "pkcs11" {
  name    = "softhsm"
  library = "/usr/lib/softhsm/libsofthsm2.so"
}
managed_key "pkcs11" "twice" {
  library     = "softhsm"
  token_label = "ca"
  pin         = "env:CA_PIN"
  key_label   = "k"
  mechanism   = 1
  copy {
    library = "elsewhere"
    pin     = "env:CA_PIN"
  }
  copy {
    token_label = "cb"
    mechanism   = 1
  }
  copy "labelled" {
    token_label = "cc"
    login       = "none"
  }
}
managed_key "awskms" "cloud" {
  kms_key  = "alias/x"
  key_type = "ECDSA"
  copy {
    token_label = "ca"
  }
}
