"""What dbt itself does not hold a project to: rules over its manifest, and the keys of its YAML."""
