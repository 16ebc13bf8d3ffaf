state_dir = 7
log_level = "loud"
kms_library "pkcs11" {
  name         = ["softhsm"]
  library      = true
  max_sessions = "many"
  env          = "A=b"
}
kms_library "pkcs11" {
  name         = "b"
  library      = "/b.so"
  max_sessions = 1.5
  env          = { "A=" = "x", B = 7 }
}
client "c" {
  user         = -1
  capabilities = "sign"
  keys         = ["a", "", null]
}
