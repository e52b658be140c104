"""Segments that are kept while events come in: by rule, and by clusters of bank customers."""
