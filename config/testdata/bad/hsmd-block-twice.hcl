kms_library "pkcs11" {
  name    = "softhsm"
  library = "/usr/lib/softhsm/libsofthsm2.so"
}
wire_keys {
  libraries = ["softhsm"]
}
wire_keys {
  libraries = ["softhsm"]
}
