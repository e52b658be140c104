"""What a rule is and means: its spec, YAML form and schema, checks, warnings and sentences."""
