"""Bad rows on their way to raw.rejected_rows."""

import tempfile
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from batch.sources import Source
from batch.validation import Rejection, encode
from insight.database import Connection

IN_MEMORY_BYTES = 4_000_000
CHUNK_BYTES = 1_000_000


class RejectionSpool:
    """The bad rows of one file, kept outside the load's transaction so that they survive it.

    Past IN_MEMORY_BYTES they wait in a temporary file: a big file may be bad in every row.
    """

    def __init__(self, source: Source, file: Path) -> None:
        self.source = source
        self.file = file
        self.count = 0
        self.first: Rejection | None = None
        self._rows = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES)  # noqa: SIM115

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._rows.close()

    def add(self, rejections: Iterable[Rejection]) -> None:
        """Keep these rows as well."""
        for rejection in rejections:
            self.first = self.first or rejection
            self.count += 1
            # The column is NULL when the whole row has the wrong shape, an original text may
            # hold the NUL character, which Postgres cannot store.
            values = (
                encode(self.source.name),
                encode(self.file.name),
                str(rejection.line),
                encode(rejection.column),
                encode(rejection.reason),
                encode(rejection.original.replace("\0", "\\0")),
            )
            self._rows.write(("\t".join(values) + "\n").encode())

    def replace_former(self, connection: Connection) -> None:
        """Make these the rejected rows of the source, instead of those of former loads."""
        connection.execute("delete from raw.rejected_rows where source = %s", [self.source.name])
        self._rows.seek(0)
        with connection.cursor().copy(
            "copy raw.rejected_rows (source, _file, _row, column_name, reason, line) from stdin"
        ) as copy:
            while chunk := self._rows.read(CHUNK_BYTES):
                copy.write(chunk)
