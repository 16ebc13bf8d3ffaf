state_dir = var.dir
log_level = upper("info")
listener "unix" {
  address = "/run/${name}.sock"
}
