"""Anomalies in series of (time, value): expected, actual, score and reason of every point."""
