kms_library "tpm" {
  name    = "tpm"
  library = "libtpm.so"
}
kms_library "pkcs11" "extra" {
  name = "x"
}
kms_library {
}
