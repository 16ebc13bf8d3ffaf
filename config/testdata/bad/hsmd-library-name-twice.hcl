kms_library "pkcs11" {
  name    = "softhsm"
  library = "/usr/lib/softhsm/libsofthsm2.so"
}
kms_library "pkcs11" {
  name    = "SoftHSM"
  library = "/usr/lib/other.so"
}
