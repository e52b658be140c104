"""Every dbt command that the documentation names, as a person types it."""

import json
import re
import shlex
import socket
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen

import pytest
import requests
from typed_dbt_commands import TYPED

from insight.database import DatabaseEndpoint, connect

Dbt = Callable[[str], tuple[bool, str]]
StartDbt = Callable[..., "Popen[str]"]

_QUERY = (
    """dbt run-operation query --args '{sql: "select segment_name, count(*) as customers"""
    """ from {{ ref(''fct_customer_segments'') }} group by segment_name"}'"""
)


@pytest.mark.parametrize(("typed", "printed"), TYPED.items())
def test_it_works_as_typed(dbt: Dbt, typed: str, printed: str) -> None:
    success, output = dbt(typed)
    assert success, output
    assert printed in output
    # The events are as old as the shared warehouse, and minutes old is late for a stream.
    lines = [line for line in output.splitlines() if "WARN freshness of streaming." not in line]
    assert "WARN " not in "\n".join(lines)


def _query(sql: str) -> str:
    return "dbt run-operation query --args " + shlex.quote(json.dumps({"sql": sql}))


def test_query_renders_references_and_prints_a_table(dbt: Dbt) -> None:
    success, output = dbt(_QUERY)
    assert success, output
    assert re.search(r"^segment_name +\| customers$", output, re.MULTILINE)
    assert re.search(r"^\(\d+ rows?\)$", output, re.MULTILINE)


@pytest.mark.parametrize(
    "reference", ["ref(''dim_customer'')", "ref('dim_customer')", "source('raw', 'customers')"]
)
def test_query_takes_references_in_any_quotes(dbt: Dbt, reference: str) -> None:
    success, output = dbt(_query(f"select count(*) as customers from {{{{ {reference} }}}}"))
    assert success, output
    assert "(1 row)" in output


def test_query_cannot_change_anything(dbt: Dbt, built: DatabaseEndpoint) -> None:
    success, output = dbt(_query("delete from {{ ref('fct_sales') }} returning 1 as gone"))
    assert not success
    assert "read-only transaction" in output
    with connect(built) as connection:
        assert connection.execute("select count(*) > 0 from marts.fct_sales").fetchone() == (True,)


def test_get_row_count_of_an_unknown_name_says_what_to_do(dbt: Dbt) -> None:
    success, output = dbt("dbt run-operation get_row_count --args '{table_name: nothing}'")
    assert not success
    assert "'dbt ls' lists them" in output


def test_docs_serve_answers(
    built: DatabaseEndpoint, built_project: Path, start_dbt: StartDbt
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = start_dbt(built_project, built, "docs", "serve", "--no-browser", "--port", str(port))
    try:
        assert "dbt Docs" in _page(f"http://127.0.0.1:{port}/")
    finally:
        server.terminate()
        server.communicate()


def _page(address: str) -> str:
    for _ in range(100):
        try:
            return requests.get(address, timeout=5).text
        except requests.ConnectionError:
            time.sleep(0.2)
    raise AssertionError(f"nothing answers at {address}")
