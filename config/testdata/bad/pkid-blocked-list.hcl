blocked_keys = "/etc/pkid/blocked"
