kms_library "pkcs11" {
  name    = "softhsm"
  library = "/usr/lib/softhsm/libsofthsm2.so"
}
managed_key "pkcs11" "k" {
  library     = "softhsm"
  pin         = "hunter2
  mechanism   = 1
}
