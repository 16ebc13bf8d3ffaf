blocked_keys = ["/etc/pkid/blocked", "blocked",
  "../more"]
