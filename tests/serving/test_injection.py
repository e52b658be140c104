"""Nothing in a rule is more than a name that is looked up, or a value that is bound."""

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from insight.database import DatabaseEndpoint, connect
from segmentation.rules.spec import Rule, walk
from serving.api.problems import MEDIA_TYPE

READ = "read-by-the-attack"
AGGREGATE: dict[str, Any] = {
    "kind": "aggregate",
    "stream": "transactions",
    "function": "sum",
    "field": "amount",
    "where": [
        {"field": "product_id", "op": "contains", "value": "P"},
        {"field": "amount", "op": "between", "value": [1, 1000]},
        {"field": "timestamp", "op": "gte", "value": "2019-01-01"},
        {"field": "store_id", "op": "is_set"},
    ],
    "window": {"kind": "between", "start": "2019-01-01", "end": "2027-01-01"},
    "op": "gt",
    "value": 10,
}
CONDITION: dict[str, Any] = {
    "kind": "n_of",
    "at_least": 1,
    "at_most": 5,
    "conditions": [
        {
            "kind": "all",
            "conditions": [
                {"kind": "trait", "field": "location", "op": "in", "value": ["Chicago", "Rome"]},
                {"kind": "trait", "field": "gender", "op": "ne", "value": "F"},
                AGGREGATE,
            ],
        },
        {
            "kind": "any",
            "conditions": [
                {
                    "kind": "aggregate",
                    "stream": "refunds",
                    "function": "max",
                    "field": "timestamp",
                    "window": "from 90d to 30d ago",
                    "op": "gt",
                    "value": "2026-01-01",
                },
                {
                    "kind": "sequence",
                    "steps": [
                        {
                            "stream": "transactions",
                            "where": [{"field": "store_id", "op": "starts_with", "value": "S"}],
                        },
                        {
                            "stream": "refunds",
                            "where": [{"field": "reason", "op": "not_in", "value": ["defective"]}],
                        },
                    ],
                    "window": {"kind": "rolling", "last": "90d"},
                    "within": "3d",
                    "without": {
                        "stream": "transactions",
                        "where": [{"field": "transaction_id", "op": "eq", "value": "sale-1"}],
                    },
                },
            ],
        },
        {"kind": "not", "condition": {"kind": "member", "segment": READ}},
        {"kind": "list", "customers": ["c-0", "c-1"]},
        {"kind": "bucket", "salt": "spring", "percent": 10},
    ],
}
RULE: dict[str, Any] = {
    "version": 1,
    "name": "attack",
    "description": "Everything that a rule can have.",
    "population": ["retail", "ecommerce"],
    "rule": CONDITION,
}
AS_OF = "2026-03-02T00:00:00Z"

# What ran of these would end a table, or take longer than a query may: 503.
PAYLOADS = {
    "a statement": "'; drop table public.canary; --",
    "after a name": '"; drop table public.canary; --',
    "in parentheses": "x') or pg_sleep(30) is null; drop table public.canary; --",
    "a function": 'amount") || pg_sleep(30)::text || ("amount',
    "placeholders": "%(p0)s %s %% {0.__class__} $1 :x ${x}",
    "an escape": "\\'; drop table public.canary; --\\",
    "dollars": "$$; drop table public.canary; $$",
    "a zero": "\x00",
    "half a character": "\ud800",
    "much": "'" * 5_000,
}

Path = tuple[str | int, ...]


@pytest.fixture(scope="module", autouse=True)
def world(warehouse: DatabaseEndpoint, analyst: httpx.Client) -> None:
    """Some events, customers with traits, a segment that can be read, and a table to lose."""
    with connect(warehouse) as connection:
        connection.execute("create table public.canary as select 1 as alive")
        connection.execute(
            """create table marts.dim_customer (
                   customer_id text, gender text, location text, customer_tenure_months integer,
                   customer_segment text, customer_tenure_years integer)"""
        )
        connection.execute(
            """insert into marts.dim_customer values ('c-0', 'F', 'Rome', 1, 'New', 0)"""
        )
        connection.execute(
            """insert into streaming.transactions_raw (
                   transaction_id, product_id, store_id, customer_id, amount, "timestamp",
                   _partition_id, _offset, _load_id)
               values ('sale-1', 'P001', 'S001', 'c-1', 20, '2026-03-01', 900, 1, 1)"""
        )
    read = {"version": 1, "name": READ, "rule": {"kind": "list", "customers": ["c-0"]}}
    assert analyst.post("/v1/segments", json={"rule": read}).status_code == 201
    assert analyst.post(f"/v1/segments/{READ}/activate", json={}).status_code == 200


def places(document: object, path: Path = ()) -> Iterator[tuple[Path, bool]]:
    """Every key (True), and every value that is neither object nor list (False)."""
    if isinstance(document, dict | list):
        for key in document if isinstance(document, dict) else range(len(document)):
            if isinstance(document, dict):
                yield (*path, key), True
            yield from places(document[key], (*path, key))
    else:
        yield path, False


def replaced(document: dict[str, Any], path: Path, is_key: bool, text: str) -> dict[str, Any]:
    found = deepcopy(document)
    holder: Any = found
    for key in path[:-1]:
        holder = holder[key]
    if is_key:
        holder[text] = holder.pop(path[-1])
    else:
        holder[path[-1]] = text
    return found


def send(client: httpx.Client, path: str, body: dict[str, Any]) -> httpx.Response:
    """As ASCII, so that half a character can be sent."""
    return client.post(
        f"/v1/{path}", content=json.dumps(body), headers={"Content-Type": "application/json"}
    )


def tables(warehouse: DatabaseEndpoint) -> set[tuple[object, ...]]:
    with connect(warehouse) as connection:
        return set(
            connection.execute(
                """select schemaname, tablename from pg_tables
                   where schemaname not in ('pg_catalog', 'information_schema')"""
            ).fetchall()
        )


def test_the_rule_that_is_attacked_has_every_kind_of_condition() -> None:
    kinds = {condition.kind for _, condition in walk(Rule.model_validate(RULE).rule)}
    assert kinds == {
        "all", "any", "not", "n_of", "trait", "aggregate", "sequence", "member", "list", "bucket",
    }  # fmt: skip


def test_it_works_unharmed(analyst: httpx.Client) -> None:
    asked = {"rule": RULE, "as_of": AS_OF}
    checked = analyst.post("/v1/rules/validate", json=asked).json()
    assert not [each for each in checked["findings"] if each["severity"] == "error"]
    # Of c-0 and c-1 both are in the list.
    assert analyst.post("/v1/rules/preview", json=asked).json()["customers"] == 2
    assert analyst.post("/v1/rules/explain", json=asked).status_code == 200
    kept = analyst.post("/v1/segments", json={"rule": RULE | {"name": "unharmed"}}).json()
    schema = analyst.get("/v1/rules/schema").json()
    Draft202012Validator(schema).validate(kept["rule"])


@pytest.mark.parametrize("kind", PAYLOADS)
def test_nothing_in_a_rule_is_more_than_a_name_or_a_value(
    analyst: httpx.Client, warehouse: DatabaseEndpoint, kind: str
) -> None:
    text = PAYLOADS[kind]
    before = tables(warehouse)
    kept = 0
    for number, (path, is_key) in enumerate(places({"rule": RULE, "message": "", "as_of": AS_OF})):
        name = f"attack-{list(PAYLOADS).index(kind)}-{number}"
        draft: dict[str, Any] = {"rule": {**RULE, "name": name}, "message": "why"}
        question: dict[str, Any] = {"rule": RULE, "as_of": AS_OF}
        for address, body in (
            ("rules/validate", question),
            ("rules/preview", question),
            ("rules/explain", question),
            ("segments", draft),
        ):
            if path[0] not in body:
                continue
            answer = send(analyst, address, replaced(body, path, is_key, text))
            assert answer.status_code in (200, 201, 422), (address, path, is_key, answer.text)
            if answer.status_code == 422:
                assert answer.headers["content-type"] == MEDIA_TYPE
            if answer.status_code == 201:
                kept += 1
                again = analyst.get(f"/v1/segments/{name}")
                # What was written is what is read.
                wanted = replaced(draft, path, is_key, text)
                assert again.json()["message"] == wanted["message"]
                assert Rule.model_validate(again.json()["rule"]) == Rule.model_validate(
                    wanted["rule"]
                )
    assert tables(warehouse) == before
    with connect(warehouse) as connection:
        assert connection.execute("select alive from public.canary").fetchall() == [(1,)]
    # Values and descriptions can be anything that can be stored.
    assert (kept > 5) == (kind not in ("a zero", "half a character", "much"))
