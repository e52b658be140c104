"""Where a source's columns stand in a file."""

import logging
from collections.abc import Sequence
from pathlib import Path

from batch.sources import Source
from insight.errors import InputError

logger = logging.getLogger(__name__)


def column_positions(source: Source, header: Sequence[str], path: Path) -> list[int]:
    """The position in the file of each column of `source`; case, spaces and `_` do not matter.

    Columns that the source does not have are left out with a warning. Raises InputError when a
    column is missing or there twice.
    """
    found = [_plain(name) for name in header]
    wanted = [_plain(column.header) for column in source.columns]
    missing = [
        c.header for c, name in zip(source.columns, wanted, strict=True) if name not in found
    ]
    if missing:
        raise InputError(
            f"has no column {', '.join(missing)}",
            where=str(path),
            next_step=f"Its first line must be {','.join(c.header for c in source.columns)}",
        )
    for column, name in zip(source.columns, wanted, strict=True):
        if found.count(name) > 1:
            raise InputError(f"has the column {column.header} twice", where=str(path))
    extra = [name for name in header if _plain(name) not in wanted]
    if extra:
        logger.warning("%s: columns ignored: %s", path, ", ".join(map(repr, extra)))
    return [found.index(name) for name in wanted]


def _plain(name: str) -> str:
    return name.casefold().replace(" ", "").replace("_", "")
