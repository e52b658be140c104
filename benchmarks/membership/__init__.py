"""Segments by rule while sales arrive: from produced to Redis, with many rules active."""
