"""`/v1/ws`: what changes, pushed to who listens."""
