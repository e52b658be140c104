"""When which rows were committed, by the server's own record of commit times.

`track_commit_timestamp` is on, so the time of the commit of every row's transaction can be asked
afterwards: the same way to measure for all, and nothing looks at the table while it is filled.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import sql

from insight.database import Connection


@dataclass(frozen=True)
class Commit:
    """One transaction: when it was committed (Unix time) and how many rows it brought."""

    at: float
    rows: int


@dataclass(frozen=True)
class Window:
    """From one commit to the last; `rows` are those of the commits after the first."""

    start: float
    end: float
    rows: int

    @property
    def rate(self) -> float:
        return self.rows / (self.end - self.start)


def commits(connection: Connection, table: sql.Identifier) -> list[Commit]:
    """All transactions that wrote the rows of a table, the earliest first."""
    query = sql.SQL(
        """select extract(epoch from pg_xact_commit_timestamp(xmin))::float8, count(*)
           from {} group by xmin order by 1"""
    )
    rows = connection.execute(query.format(table)).fetchall()
    return [Commit(float(str(at)), int(str(number))) for at, number in rows]


def window(found: Sequence[Commit], *, warm_rows: int = 0, not_before: float = 0.0) -> Window:
    """The part in which all was running: the first commit only says that work has begun.

    It starts at the first commit that is not before a time and has `warm_rows` rows behind it.
    Raises ValueError when fewer than two commits are left.
    """
    total = 0
    for index, commit in enumerate(found):
        total += commit.rows
        if total >= warm_rows and commit.at >= not_before:
            rest = found[index + 1 :]
            if rest:
                return Window(commit.at, rest[-1].at, sum(each.rows for each in rest))
    raise ValueError("too few commits to measure between; take more messages")
