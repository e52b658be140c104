"""Keeps the members of active rules up to date while rows come in."""
