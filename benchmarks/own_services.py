"""Services that belong to one benchmark and are gone afterwards."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from insight.services import Services, open_services, stop
from insight.settings import load_settings


@contextmanager
def own_services() -> Iterator[tuple[Services, Path]]:
    """Services, and a folder for all that is written; it is removed once they have ended."""
    with tempfile.TemporaryDirectory(prefix="insight-bench-", dir="/tmp") as name:
        folder = Path(name)
        # As root the server runs as another account, which must be able to enter its home.
        folder.chmod(0o755)
        home = folder / "home"
        try:
            with open_services(load_settings().model_copy(update={"home": home})) as services:
                yield services, folder
        finally:
            stop(home, now=True)
