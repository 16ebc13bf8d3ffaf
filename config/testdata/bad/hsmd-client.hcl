kms_library "pkcs11" {
  name    = "softhsm"
  library = "/usr/lib/softhsm/libsofthsm2.so"
}
client "a" {
  capabilities = ["sing", "sign"]
}
client "a" {
  user         = "a"
  capabilities = []
  keys         = ["Root", "ca-*"]
}
