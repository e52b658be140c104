"""Segments of customers that are kept while events come in."""
