"""Bytes of a message in, checked rows or named rejections out."""
