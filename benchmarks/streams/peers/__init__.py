"""Other projects' sinks, from their published packages, in environments of their own."""
