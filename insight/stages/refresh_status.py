"""What the scheduler says about itself: one row, shown by `insight status`."""

from dataclasses import dataclass, field

from insight.database import DatabaseEndpoint, connect

_TABLE = """
create table if not exists streaming.refresh_status (
    is_only_row boolean primary key default true check (is_only_row),
    state text not null,
    reason text,
    refreshes bigint not null default 0,
    failures bigint not null default 0,
    refreshed_at timestamptz,
    refresh_seconds double precision,
    tested_at timestamptz,
    failing_tests text[] not null default '{}',
    updated_at timestamptz not null default now()
);
comment on table streaming.refresh_status is
    'One row: what the scheduler last did with the streaming models and their tests.';
"""

FRESH = "fresh"
FAILED = "failed"
WAITING = "waiting"
TESTS_FAIL = "tests_fail"


@dataclass
class RefreshStatus:
    """What one scheduler did so far. `state` is fresh, waiting, failed or tests_fail."""

    state: str = WAITING
    reason: str | None = None
    refreshes: int = 0
    failures: int = 0
    last_seconds: float | None = None
    failing_tests: list[str] = field(default_factory=list)


def write_refresh_status(
    database: DatabaseEndpoint,
    status: RefreshStatus,
    *,
    refreshed: bool = False,
    tested: bool = False,
) -> None:
    """Replace the row; `refreshed` and `tested` say that this happened just now.

    The schema `streaming` must be there. Raises ServiceError when the database is away.
    """
    with connect(database) as connection:
        if connection.execute("select to_regclass('streaming.refresh_status')").fetchone() == (
            None,
        ):
            connection.execute(_TABLE)
        connection.execute(
            """insert into streaming.refresh_status as known
                   (state, reason, refreshes, failures, refresh_seconds, failing_tests,
                    refreshed_at, tested_at)
               values (%(state)s, %(reason)s, %(refreshes)s, %(failures)s, %(seconds)s, %(tests)s,
                       case when %(refreshed)s then now() end, case when %(tested)s then now() end)
               on conflict (is_only_row) do update set
                   state = excluded.state, reason = excluded.reason,
                   refreshes = excluded.refreshes, failures = excluded.failures,
                   refresh_seconds = coalesce(excluded.refresh_seconds, known.refresh_seconds),
                   failing_tests = excluded.failing_tests,
                   refreshed_at = coalesce(excluded.refreshed_at, known.refreshed_at),
                   tested_at = coalesce(excluded.tested_at, known.tested_at), updated_at = now()""",
            {
                "state": status.state,
                "reason": status.reason,
                "refreshes": status.refreshes,
                "failures": status.failures,
                "seconds": status.last_seconds,
                "tests": status.failing_tests,
                "refreshed": refreshed,
                "tested": tested,
            },
        )
