"""Schema ml: its tables, and a result that is replaced whole."""

from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.errors import NotNullViolation

from insight.database import connect
from ml_pipeline.export import empty_seed, seed_bytes
from ml_pipeline.results import (
    CUSTOMER_SEGMENTS,
    TABLES,
    create_tables,
    csv_blocks,
    replace_rows,
    replace_with_csv,
)


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


_IDS = st.lists(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=5)
    | st.sampled_from(["", " ", "\\N", "\\.", "NULL", 'a"b', "a,b", "a\r\nb", "\t", "007"]),
    unique=True,
    max_size=8,
)


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(_IDS)
def test_labels_come_back_from_the_table_byte_for_byte(database, ids: list[str]) -> None:
    create_tables(database)
    labels = pd.DataFrame(
        {"customer_id": pd.Series(ids, dtype=str), "segment_id": 1, "segment_name": "At-Risk"}
    )
    content = seed_bytes(labels)
    with connect(database) as connection:
        replace_with_csv(connection, CUSTOMER_SEGMENTS, content)
        assert b"".join(csv_blocks(connection, CUSTOMER_SEGMENTS)) == content
    assert sorted(row[0] for row in _segments(database)) == sorted(ids)


def test_no_labels_are_a_header_alone(database) -> None:
    create_tables(database)
    with connect(database) as connection:
        replace_with_csv(connection, CUSTOMER_SEGMENTS, empty_seed())
        assert b"".join(csv_blocks(connection, CUSTOMER_SEGMENTS)) == empty_seed()
