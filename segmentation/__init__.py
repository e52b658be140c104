"""Segments by rule: what a rule is, what it means, and the SQL that finds its customers."""
