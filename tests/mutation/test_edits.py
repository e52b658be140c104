"""Which edits are made to a text, and that each one changes just what it says."""

from pathlib import Path

import pytest
from mutation.edits import edits_of
from mutation.equivalents import reviewed, unreviewed


def _edited(sql: str) -> set[str]:
    return {" ".join(edit.applied(sql).split()) for edit in edits_of(sql)}


@pytest.mark.parametrize(
    ("sql", "edited"),
    [
        ("select a from b left join c on b.x = c.x", "select a from b inner join c on b.x = c.x"),
        ("select a from b where a > 1 and c", "select a from b where true and c"),
        ("select a from b where a > 1 and c", "select a from b where a >= 1 and c"),
        ("select a from b where a > 1 and c", "select a from b where a > 2 and c"),
        ("select a from b where a > 1 and c", "select a from b where a > 1 or c"),
        ("select a from b having x between 1 and 2", "select a from b having true"),
        ("select sum(a) from b", "select avg(a) from b"),
        ("select count(a) from b", "select count(*) from b"),
        ("select count(distinct a) from b", "select count( a) from b"),
        ("select coalesce(a, 0) from b", "select coalesce(a) from b"),
        ("select a from b union all select c from d", "select a from b except all select c from d"),
        ("select a from b union all select c from d", "select a from b union select c from d"),
        (
            "select lag(a) over (partition by b order by c) from d",
            "select lag(a) over ( order by c) from d",
        ),
        (
            "select lag(a) over (partition by b order by c) from d",
            "select lag(a) over (partition by b order by c desc) from d",
        ),
        ("select case when a then b when c then d end", "select case when c then d end"),
        ("select case when a then b else c end", "select case when a then b else null end"),
        ("select a from b where a is null", "select a from b where a is not null"),
        ("select count(*) filter (where a) from b", "select count(*) filter (where true) from b"),
        ("select a + interval '1 day' from b", "select a + interval '2 day' from b"),
        ("select date_trunc('month', a) from b", "select date_trunc('quarter', a) from b"),
        ("select b.quantity * b.price from b", "select b.quantity / b.price from b"),
    ],
)
def test_an_edit_is_made(sql: str, edited: str) -> None:
    assert edited in _edited(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "select * from {{ ref('sales') }}",
        "{{ config(materialized='table', limit=5) }} select a from b",
        "{% if x > 1 %}select a from b{% endif %}",
        "select a from b -- where a > 1",
        "select cast(a as numeric(22, 2)) from b",
        "select a from b join c on b.x = c.x",
        "select a from b cross join lateral c(a) on true",
        "select b.* from b",
    ],
)
def test_jinja_comments_types_and_keys_of_joins_are_left_alone(sql: str) -> None:
    assert edits_of(sql) == []


def test_an_edit_names_its_line_and_what_becomes_of_it() -> None:
    sql = "select a\nfrom b\nwhere a > 1\n"
    [edit] = [edit for edit in edits_of(sql) if edit.kind == "condition dropped"]
    assert edit.line_number(sql) == 3
    assert edit.difference(sql) == ("where a > 1", "where true")


def test_every_reviewed_edit_is_still_possible(project_root: Path) -> None:
    models = {path.stem: path for path in (project_root / "dbt_pipeline" / "models").rglob("*.sql")}
    for entry in reviewed():
        sql = models[entry.model].read_text()
        edits = edits_of(sql)
        assert len(list(unreviewed([entry], entry.model, edits, sql))) == len(edits) - 1, entry
