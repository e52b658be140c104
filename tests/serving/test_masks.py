"""Customer ids reach nobody who may not see them, whatever route they could come through."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute

from insight.database import DatabaseEndpoint, connect
from segmentation.rules.spec import Rule
from serving.access.masking import mask, mask_customers
from serving.access.permissions import PERMISSIONS, Permission, Role
from serving.api.app import create_app
from serving.api.options import ApiOptions

SEGMENT = "those-named"
IDS = ("secret-customer-1", "secret-customer-2", "secret-customer-3", "secret-customer-4")
KEY = bytes(range(32))
AMOUNTS = {
    "kind": "aggregate", "stream": "transactions", "function": "count", "window": "lifetime",
    "op": "gt", "value": 1,
}  # fmt: skip
HASH = re.compile(r"\b[0-9a-f]{64}\b")


def named(*customers: str) -> dict[str, Any]:
    return {"kind": "list", "customers": list(customers)}


def rule(condition: dict[str, Any]) -> dict[str, Any]:
    return {"version": 1, "name": SEGMENT, "population": ["retail"], "rule": condition}


# Lists at the top, in groups in groups, changed in one place, and in place of another condition.
RULES = (
    rule(named(*IDS[:2])),
    rule(named(IDS[0], IDS[2])),
    rule(
        {
            "kind": "all",
            "conditions": [
                {"kind": "not", "condition": named(IDS[3])},
                {"kind": "n_of", "at_least": 1, "conditions": [named(*IDS), AMOUNTS]},
                {"kind": "any", "conditions": [named(IDS[1]), AMOUNTS]},
            ],
        }
    ),
)


@pytest.fixture(scope="module", autouse=True)
def segment(clients: Callable[[Role | None], httpx.Client], warehouse: DatabaseEndpoint) -> None:
    """Three versions that name customers, of whom some are members."""
    analyst = clients(Role.analyst)
    address = f"/v1/segments/{SEGMENT}"
    for number, each in enumerate(RULES):
        answer = analyst.post(
            f"{address}/versions" if number else "/v1/segments",
            json={"rule": each},
            headers={"If-Match": f'"{number}"'},
        )
        assert answer.status_code == 201, answer.text
    assert analyst.post(f"{address}/activate", json={}).status_code == 200
    with connect(warehouse) as connection:
        connection.execute(
            "insert into segmentation.pipelines (segment, version, as_of) values (%s, 3, now())",
            (SEGMENT,),
        )
        for customer in IDS:
            connection.execute(
                "insert into segmentation.current_members (segment, customer_id) values (%s, %s)",
                (SEGMENT, customer),
            )
            connection.execute(
                """insert into segmentation.membership_changes
                       (segment, customer_id, version, change, as_of, evidence)
                   values (%s, %s, 3, 'entered', now(), '[{"holds": true}]')""",
                (SEGMENT, customer),
            )


def addresses(options: ApiOptions, version: int) -> Iterator[tuple[str, str]]:
    filled = {"stream": "transactions", "customer_id": "c-000", "key_id": "000000000000",
              "segment": SEGMENT, "version": str(version)}  # fmt: skip
    for route in create_app(options).routes:
        if isinstance(route, APIRoute):
            path = re.sub(r"\{(\w+)\}", lambda found: filled[found[1]], route.path)
            yield from ((method, path) for method in route.methods)


@pytest.mark.parametrize("version", [1, 2, 3])
def test_no_route_shows_a_customer_to_who_may_not_see_them(
    clients: Callable[[Role | None], httpx.Client], options: ApiOptions, version: int
) -> None:
    showing = 0
    for method, path in addresses(options, version):
        body = {} if method == "POST" else None
        seen = clients(Role.viewer).request(method, path, json=body).text
        assert not [each for each in IDS if each in seen], path
        if method == "GET" and any(each in clients(Role.analyst).get(path).text for each in IDS):
            showing += 1
            assert "masked-" in seen, path
    # The segment, its versions, one of them, differences, members and history; a first version has
    # no differences.
    assert showing == (6 if version > 1 else 5)


def test_a_mask_of_a_rule_is_that_of_the_lists(viewer: httpx.Client) -> None:
    address = f"/v1/segments/{SEGMENT}"
    version = viewer.get(f"{address}/versions/1").json()
    members = [each["customer_id"] for each in viewer.get(f"{address}/members").json()["items"]]
    named_there = version["rule"]["rule"]["customers"]
    assert named_there == members[:2]
    assert version["configuration"]["filters"][0]["customers"] == named_there
    changed = viewer.get(f"{address}/versions/2/differences").json()["items"]
    assert changed == [{"pointer": "/rule/customers/1", "before": members[1], "after": members[2]}]
    # What is shown is a rule still.
    for each in viewer.get(f"{address}/versions").json()["items"]:
        Rule.model_validate(each["rule"])


def test_a_hash_of_a_rule_does_not_give_its_customers_away(
    viewer: httpx.Client, analyst: httpx.Client
) -> None:
    """Who can guess an id could make the hash of the rule that names it, and compare."""
    address = f"/v1/segments/{SEGMENT}/versions"
    masked, real = viewer.get(address).json()["items"], analyst.get(address).json()["items"]
    shas = [{*HASH.findall(json.dumps(each))} for each in (masked, real)]
    # Of the condition that names nobody.
    amounts = {
        each["sha"] for each in real[0]["configuration"]["filters"] if each["kind"] == "aggregate"
    }
    assert shas[0] & shas[1] == amounts
    assert all(each["spec_sha"] == each["configuration"]["spec_sha"] for each in masked)
    assert len({each["spec_sha"] for each in masked}) == 3


def test_who_tries_rules_sees_customers_anyway() -> None:
    for permissions in PERMISSIONS.values():
        if Permission.segments_write in permissions:
            assert Permission.customers_read in permissions


def test_a_document_without_customers_stays_as_it_is() -> None:
    document = {"sha": "1f" * 32, "logic": [1, {"any": [0]}], "customer": "customer_id"}
    assert mask_customers(document, KEY) == document
    masked = mask_customers({"a": [{"customers": ["c-1"], "sha": "1f" * 32}]}, KEY)
    assert masked["a"][0]["customers"] == [mask("c-1", KEY)]
    assert masked["a"][0]["sha"] != "1f" * 32
