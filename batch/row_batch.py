"""What a reader yields: a header and batches of rows, all values text."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

# Bigger batches are slower: their values no longer fit the processor's cache.
BATCH_ROWS = 512


@dataclass(frozen=True)
class RowBatch:
    """Up to BATCH_ROWS rows; rows[i] starts on line lines[i] of the file (the header is line 1).

    Values are as in the file, white space included. `original(i)` is the text of rows[i] as it
    stands in the file.
    """

    lines: Sequence[int]
    rows: list[list[str]]
    original: Callable[[int], str]


@dataclass(frozen=True)
class Table:
    """An open file: its header and, once, its rows."""

    header: list[str]
    batches: Iterator[RowBatch]
