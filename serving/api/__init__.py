"""The HTTP API under /v1: what is served, to whom, and how it fails."""
