kms_library "pkcs11" {
  name    = "soft"
  library = "/lib/soft.so"
}

ledger {
  unrecorded_good_until = "2027-03-01"
}

ledger {}
