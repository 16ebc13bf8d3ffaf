audit_log = "audit.log"
