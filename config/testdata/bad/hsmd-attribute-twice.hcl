kms_library "pkcs11" {
  name    = "softhsm"
  library = "/usr/lib/softhsm/libsofthsm2.so"
}
state_dir = "/a"
state_dir = "/b"
colour = "red"
