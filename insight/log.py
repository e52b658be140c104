"""Logging: modules log through `logging.getLogger(__name__)`; this decides where it goes."""

import logging

from rich.console import Console
from rich.logging import RichHandler


def configure(level: str) -> None:
    """Send log records of `level` and above to standard error, once, for the whole process."""
    handler = RichHandler(console=Console(stderr=True), show_path=False, rich_tracebacks=False)
    handler.setFormatter(logging.Formatter("%(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
