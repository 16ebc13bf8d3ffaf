storage "pebble" {
  path = "pkid"
}
storage "pebble" {
}
hsmd {
  address = "hsmd.sock"
  users   = "x"
}
