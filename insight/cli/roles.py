"""The long-lived roles: one command and one process each, all of them in `insight up`."""
