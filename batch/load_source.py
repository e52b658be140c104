"""Load one file into its table, inside the caller's transaction."""

import hashlib
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from psycopg import sql

from batch.csv_reader import open_csv
from batch.header import column_positions
from batch.rejections import RejectionSpool
from batch.row_batch import Table
from batch.sources import Source
from batch.tables import table
from batch.validation import RowValidator
from batch.xlsx_reader import open_xlsx
from insight.database import Connection
from insight.errors import InputError

BATCHES_PER_REPORT = 50


@dataclass(frozen=True)
class SourceReport:
    """What became of one source; `unchanged` means that its rows were there already."""

    source: str
    file: str
    rows: int
    rejected: int
    unchanged: bool
    seconds: float

    @property
    def rejected_share(self) -> float:
        """Bad rows over all rows of the file, 0 to 1."""
        return self.rejected / max(1, self.rows + self.rejected)


def load_source(
    connection: Connection,
    spool: RejectionSpool,
    max_rejected_share: float,
    generated: bool,
    on_progress: Callable[[str, int], None] | None,
) -> SourceReport:
    """Replace the source's rows, or leave them when they came from the same file.

    Bad rows are added to the spool and to raw.rejected_rows; whether they are too many is the
    caller's decision. Raises InputError when the file cannot be read as this source.
    """
    started = time.perf_counter()
    source, path = spool.source, spool.file
    sha256 = _sha256(path)
    recorded = _recorded(connection, spool, sha256, max_rejected_share)
    if recorded is None:
        rows = _replace_rows(connection, spool, on_progress)
        spool.replace_former(connection)
        _record(connection, spool, sha256, rows, generated)
        rejected = spool.count
    else:
        rows, rejected = recorded
        _confirm(connection, source, generated)
    if on_progress:
        on_progress(source.name, rows)
    seconds = time.perf_counter() - started
    return SourceReport(source.name, path.name, rows, rejected, recorded is not None, seconds)


def open_table(path: Path) -> AbstractContextManager[Table]:
    """The reader for the file's ending."""
    return open_xlsx(path) if path.suffix.lower() == ".xlsx" else open_csv(path)


def _sha256(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", where=str(path)) from error


def _recorded(
    connection: Connection, spool: RejectionSpool, sha256: str, max_rejected_share: float
) -> tuple[int, int] | None:
    """Rows and rejected rows of an earlier load of the same file that still stands.

    None also when the file has another name (raw keeps it), the table was emptied by hand since,
    a failed load replaced its bad rows, or these are too many by now.
    """
    query = sql.SQL(
        "select rows, rejected from raw.loaded_files as loaded"
        " where source = {} and file = {} and sha256 = {}"
        " and rejected <= (rows + rejected) * {}::numeric"
        " and rejected = (select count(*) from raw.rejected_rows as kept"
        " where kept.source = loaded.source and kept._loaded_at = loaded.loaded_at)"
        " and (rows = 0 or exists (select from {}))"
    ).format(spool.source.name, spool.file.name, sha256, max_rejected_share, table(spool.source))
    row = connection.execute(query).fetchone()
    if row is None:
        return None
    rows, rejected = row
    assert isinstance(rows, int)
    assert isinstance(rejected, int)
    return rows, rejected


def _replace_rows(
    connection: Connection, spool: RejectionSpool, on_progress: Callable[[str, int], None] | None
) -> int:
    source, path = spool.source, spool.file
    loaded = 0
    connection.execute(sql.SQL("truncate {}").format(table(source)))
    with open_table(path) as opened:
        positions = column_positions(source, opened.header, path)
        validator = RowValidator(source, positions, len(opened.header), path.name)
        with connection.cursor().copy(_copy_statement(source)) as copy:
            for number, batch in enumerate(opened.batches, start=1):
                checked = validator.check(batch)
                copy.write(checked.copy_text)
                spool.add(checked.rejections)
                loaded += checked.good
                if on_progress and number % BATCHES_PER_REPORT == 0:
                    on_progress(source.name, loaded)
    if loaded + spool.count == 0:
        raise InputError("has a header but no rows", where=str(path))
    connection.execute(sql.SQL("analyze {}").format(table(source)))
    return loaded


def _copy_statement(source: Source) -> sql.Composed:
    columns = map(sql.Identifier, [*source.column_names, "_file", "_row"])
    return sql.SQL("copy {} ({}) from stdin").format(table(source), sql.SQL(", ").join(columns))


def _record(
    connection: Connection, spool: RejectionSpool, sha256: str, rows: int, generated: bool
) -> None:
    connection.execute(
        "insert into raw.loaded_files (source, file, sha256, rows, rejected, generated)"
        " values (%s, %s, %s, %s, %s, %s) on conflict (source) do update set"
        " file = excluded.file, sha256 = excluded.sha256, rows = excluded.rows,"
        " rejected = excluded.rejected, generated = excluded.generated, loaded_at = now()",
        [spool.source.name, spool.file.name, sha256, rows, spool.count, generated],
    )


def _confirm(connection: Connection, source: Source, generated: bool) -> None:
    """The earlier load stands: drop bad rows that a failed load of other bytes left behind."""
    connection.execute(
        "delete from raw.rejected_rows as rejected using raw.loaded_files as loaded"
        " where loaded.source = %s and rejected.source = loaded.source"
        " and rejected._loaded_at <> loaded.loaded_at",
        [source.name],
    )
    connection.execute(
        "update raw.loaded_files set generated = %s where source = %s and generated <> %s",
        [generated, source.name, generated],
    )
