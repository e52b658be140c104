"""A segmentation in a process of its own that SIGKILL ends at the n-th moment around its writes."""

import functools
import itertools
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from insight.database import DatabaseEndpoint
from ml_pipeline import segment_results
from ml_pipeline.run import segment_customers


def segment_and_die(
    moment: int, database: DatabaseEndpoint, folder: Path, k: int, place: str
) -> None:
    """Moments are those before and after a file gets its name, and after each step in Postgres."""
    count = itertools.count(1)

    def die_here() -> None:
        if next(count) == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    def dying(action: Callable[..., Any], *, before: bool) -> Callable[..., Any]:
        @functools.wraps(action)
        def act(*arguments: Any, **options: Any) -> Any:
            if before:
                die_here()
            done = action(*arguments, **options)
            die_here()
            return done

        return act

    Path.replace = dying(Path.replace, before=True)  # type: ignore[method-assign]
    for name in ("replace_with_csv", "_record", "_name_place"):
        setattr(segment_results, name, dying(getattr(segment_results, name), before=False))
    segment_customers(
        database,
        seed_path=folder / "customer_segments.csv",
        model_dir=folder / "models",
        origin="own",
        k=k,
        sweep=False,
        segments_in=place,  # type: ignore[arg-type]
    )
