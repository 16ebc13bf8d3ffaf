kms_library "pkcs11" {
  name = "softhsm"
  library = 
}
