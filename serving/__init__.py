"""What people and applications read: lookups in Redis."""
