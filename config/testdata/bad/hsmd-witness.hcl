kms_library "pkcs11" {
  name    = "softhsm"
  library = "/usr/lib/softhsm/libsofthsm2.so"
}
witness "a" {
  url      = "https://witness.example.com"
  required = "perhaps"
}
witness "a" {
  url = "https://witness.example.com"
  key = "k"
}
