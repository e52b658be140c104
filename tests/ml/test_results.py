"""Schema ml: its tables, and a result that is replaced whole."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from psycopg.errors import NotNullViolation

from insight.database import connect
from ml_pipeline.results import CUSTOMER_SEGMENTS, TABLES, create_tables, replace_rows


def _segments(database) -> list[tuple[object, ...]]:
    with connect(database) as connection:
        return connection.execute("select * from ml.customer_segments order by 1").fetchall()


def test_every_table_is_made_by_many_at_once(database) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: create_tables(database), range(8)))
    with connect(database) as connection:
        found = connection.execute(
            "select tablename from pg_tables where schemaname = 'ml' order by 1"
        ).fetchall()
    assert [name for (name,) in found] == sorted(table.name for table in TABLES)


def test_rows_are_replaced_whole(database) -> None:
    create_tables(database)
    for rows in ([("a", 1, "Big\tSpenders"), ("b", 2, "\\N")], [("b", 3, "Loyal")], []):
        with connect(database) as connection:
            assert replace_rows(connection, CUSTOMER_SEGMENTS, rows) == len(rows)
        assert _segments(database) == rows


def test_a_failed_replacement_leaves_the_rows_of_before(database) -> None:
    create_tables(database)
    with connect(database) as connection:
        replace_rows(connection, CUSTOMER_SEGMENTS, [("a", 1, "Loyal")])
    with pytest.raises(NotNullViolation), connect(database) as connection:
        replace_rows(connection, CUSTOMER_SEGMENTS, [("b", 1, "Loyal"), ("c", None, "Loyal")])
    assert _segments(database) == [("a", 1, "Loyal")]
