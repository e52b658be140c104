"""Ids in paths and filters: text of the source, not too long, no control characters."""

from typing import Annotated

from fastapi import Path, Query

_TEXT = r"^[^\x00-\x1f\x7f]+$"

CustomerPath = Annotated[
    str,
    Path(min_length=1, max_length=64, pattern=_TEXT, description="A customer.", examples=["17850"]),
]
StreamPath = Annotated[
    str,
    Path(
        min_length=1, max_length=100, pattern=r"^[a-z0-9-]+$",
        description="A stream.", examples=["transactions"],
    ),
]  # fmt: skip
SegmentPath = Annotated[
    str,
    Path(
        pattern=r"^[a-z][a-z0-9_-]{0,62}$", description="A segment by rule.",
        examples=["big_recent_spenders"],
    ),
]  # fmt: skip
KeyPath = Annotated[
    str, Path(pattern="^[0-9a-f]{12}$", description="A key's id.", examples=["0f3a9c41d27b"])
]
ProductFilter = Annotated[
    str | None, Query(min_length=1, max_length=64, pattern=_TEXT, description="Of this product.")
]
StoreFilter = Annotated[
    str | None, Query(min_length=1, max_length=64, pattern=_TEXT, description="Of this store.")
]
NameFilter = Annotated[
    str | None, Query(min_length=1, max_length=64, pattern=_TEXT, description="Of this name.")
]
