kms_library "pkcs11" {
  name    = "softhsm"
  library = "/usr/lib/softhsm/libsofthsm2.so"
}
kms_libary "pkcs11" {
  name = "nss"
}
