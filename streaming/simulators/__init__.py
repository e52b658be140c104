"""Local stand-ins for the outside world, so that everything runs without it."""
