"""`make bench`: all comparisons, one line each."""

import sys
import tempfile
from pathlib import Path

from benchmarks import batch_load, segmentation
from benchmarks.comparison import Comparison
from insight.services import open_services
from insight.settings import load_settings


def main() -> None:
    """Measure on services of its own, so that no warehouse is touched."""
    with tempfile.TemporaryDirectory(prefix="insight-bench-") as folder:
        settings = load_settings().model_copy(update={"home": Path(folder) / "home"})
        with open_services(settings) as services:
            _say(batch_load.run(services.database, Path(folder)))
    _say(segmentation.run())


def _say(result: Comparison) -> None:
    sys.stdout.write(
        f"{result.name}, {result.size}: {result.ours:.2f} s;"
        f" {result.baseline_name}: {result.baseline:.2f} s; ratio {result.ratio:.2f}\n"
    )


if __name__ == "__main__":
    main()
