"""The batch loader (read, check, COPY) against a bare COPY of the same sale lines."""

from pathlib import Path

from batch.generator import generate
from batch.loader import load_directory
from benchmarks.comparison import Comparison, compare
from insight.database import DatabaseEndpoint, connect

_SCALE = 10


def run(database: DatabaseEndpoint, folder: Path) -> Comparison:
    """529,240 sale lines; the baseline lets Postgres read the file's CSV without any check."""
    files = folder / "sales"
    generate(files, scale=_SCALE)
    sales = files / "Online_Sales.csv"
    with open(sales, "rb") as stream:
        lines = sum(1 for _ in stream) - 1

    def ours() -> None:
        with connect(database) as connection:
            connection.execute("drop schema if exists raw cascade")
        load_directory(database, files, generated=True)

    def bare_copy() -> None:
        with connect(database) as connection:
            connection.execute("create schema if not exists bench")
            connection.execute("drop table if exists bench.sales")
            connection.execute(
                "create table bench.sales (a text, b text, c text, d text, e text, f text,"
                " g text, h text, i text, j text)"
            )
            with connection.cursor() as cursor, open(sales, "rb") as stream:
                with cursor.copy("copy bench.sales from stdin (format csv, header)") as copy:
                    while block := stream.read(1 << 20):
                        copy.write(block)

    return compare("batch load", f"{lines:,} sale lines", ours, "bare COPY", bare_copy)
