"""Load the five batch files into schema raw: all of them or none."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from batch.keys import refuse_duplicates
from batch.load_source import SourceReport, load_source
from batch.rejections import RejectionSpool
from batch.sources import find_files
from batch.tables import create_tables
from insight.database import Connection, DatabaseEndpoint, connect
from insight.errors import InputError


@dataclass(frozen=True)
class LoadReport:
    """What a load did. `unknown_customer_sales` are sale lines whose customer is in no file."""

    sources: tuple[SourceReport, ...]
    unknown_customer_sales: int


def load_directory(
    database: DatabaseEndpoint,
    directory: Path,
    *,
    max_rejected_share: float = 0.0,
    generated: bool = False,
    on_progress: Callable[[str, int], None] | None = None,
) -> LoadReport:
    """Replace each source whose file has changed since its last load, in one transaction.

    `on_progress` is told a source's name and its rows so far. Bad rows go to raw.rejected_rows.
    Raises InputError, with the tables as before, when a file is missing or unreadable, has a
    wrong column or a duplicate key, or when more than `max_rejected_share` of its rows (0 to 1)
    are bad; these rows are in raw.rejected_rows even then. Loads at the same time take turns.
    """
    files = find_files(directory)
    with ExitStack() as stack:
        spools = [
            stack.enter_context(RejectionSpool(source, path)) for source, path in files.items()
        ]
        try:
            with connect(database) as connection:
                create_tables(connection)
                reports = [
                    load_source(connection, spool, max_rejected_share, generated, on_progress)
                    for spool in spools
                ]
                # Every file is read before the first complaint: all bad rows can be seen at once.
                _refuse_bad_files(connection, spools, reports, max_rejected_share)
                return LoadReport(tuple(reports), _unknown_customer_sales(connection))
        except InputError:
            _keep_rejections(database, spools)
            raise


def _refuse_bad_files(
    connection: Connection,
    spools: Sequence[RejectionSpool],
    reports: Sequence[SourceReport],
    max_rejected_share: float,
) -> None:
    changed = [
        (spool, report)
        for spool, report in zip(spools, reports, strict=True)
        if not report.unchanged
    ]
    for spool, report in changed:
        _refuse_too_many_rejections(spool, report, max_rejected_share)
    for spool, _ in changed:
        refuse_duplicates(connection, spool.source, spool.file)


def _refuse_too_many_rejections(
    spool: RejectionSpool, report: SourceReport, max_rejected_share: float
) -> None:
    if spool.first is None or report.rejected_share <= max_rejected_share:
        return
    column = f"{spool.first.column}: " if spool.first.column else ""
    query = f"select * from raw.rejected_rows where source = '{spool.source.name}'"  # noqa: S608
    total = report.rows + report.rejected
    raise InputError(
        f"{column}{spool.first.reason} ({report.rejected:,} of {total:,} rows are bad)",
        where=f"{spool.file}:{spool.first.line}",
        next_step=f'Nothing is loaded; see the bad rows with: insight query "{query}"',
    )


def _keep_rejections(database: DatabaseEndpoint, spools: Sequence[RejectionSpool]) -> None:
    if not any(spool.count for spool in spools):
        return
    with connect(database) as connection:
        create_tables(connection)
        for spool in spools:
            if spool.count:
                spool.replace_former(connection)


def _unknown_customer_sales(connection: Connection) -> int:
    row = connection.execute(
        "select count(*) from raw.online_sales as sales where not exists ("
        " select from raw.customers where customers.customer_id = sales.customer_id)"
    ).fetchone()
    assert row is not None
    assert isinstance(row[0], int)
    return row[0]
