"""The `insight` command."""

from insight.cli.app import main

__all__ = ["main"]
