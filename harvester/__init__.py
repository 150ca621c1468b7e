"""harvester: complete, quota-exact replication of MLS data."""
