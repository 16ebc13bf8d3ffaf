kms_library "pkcs11" {
  name    = "softhsm"
  library = "/usr/lib/softhsm/libsofthsm2.so"
}
managed_key "pkcs11" "k" {
  library     = "nss"
  token_label = "ca"
  pin         = "file:ca-pin"
  key_label   = "k"
  mechanism   = 1
}
internal_keys {
  library = "luna"
  slot    = 1
  pin     = "env:"
}
wire_keys {
  libraries = ["*", "softhsm", "nss"]
}
