kms_library "pkcs11" {
  name        = "softhsm"
  library     = "/usr/lib/libsofthsm2.so"
  max_session = 16
}
