"""Segments by rule over the API: written in versions, tried, activated, and asked about."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from running_api import RunningApi, running_api

from insight.audit import verify
from insight.database import DatabaseEndpoint, connect
from serving.access.permissions import Role
from serving.api.options import ApiOptions

EVENTS = """
insert into streaming.transactions_raw (
    transaction_id, product_id, store_id, customer_id, amount, "timestamp",
    _partition_id, _offset, _load_id
)
select
    'sale-' || number, 'P001', 'S001', 'c-' || number % 3, 10 * number,
    timestamptz '2026-03-01 12:00+00' - number * interval '1 hour', 900, number, 1
from generate_series(1, 9) as number
"""


def rule(name: str, value: float = 100, **more: object) -> dict[str, Any]:
    return {
        "version": 1,
        "name": name,
        "population": ["retail"],
        "rule": {
            "kind": "aggregate",
            "stream": "transactions",
            "function": "sum",
            "field": "amount",
            "window": "last 30d",
            "op": "gt",
            "value": value,
        },
        **more,
    }


AS_OF = "2026-03-02T00:00:00Z"


@pytest.fixture(scope="module", autouse=True)
def events(api: RunningApi, warehouse: DatabaseEndpoint) -> Iterator[None]:
    """Customers c-0, c-1 and c-2 with sales of 180, 120 and 150 in sum."""
    with connect(warehouse) as connection:
        connection.execute(EVENTS)
    yield
    with connect(warehouse) as connection:
        connection.execute("delete from streaming.transactions_raw where _partition_id = 900")


@pytest.fixture
def created(analyst: httpx.Client, request: pytest.FixtureRequest) -> str:
    """A segment of this test's own, with one draft."""
    name = f"of-{abs(hash(request.node.name)) % 10**9}"
    answer = analyst.post("/v1/segments", json={"rule": rule(name), "message": "first"})
    assert answer.status_code == 201, answer.text
    return name


def test_a_rule_is_tried_before_it_is_kept(analyst: httpx.Client) -> None:
    asked = {"rule": rule("trial", 130), "as_of": AS_OF}
    checked = analyst.post("/v1/rules/validate", json={"rule": rule("trial", 130)}).json()
    assert (checked["findings"], "130" in checked["sentence"]) == ([], True)
    seen = analyst.post("/v1/rules/preview", json=asked).json()
    assert (seen["customers"], seen["samples"], seen["change"]) == (2, ["c-0", "c-2"], None)
    assert [each["customers"] for each in seen["conditions"]] == [2]
    told = analyst.post("/v1/rules/explain", json=asked).json()
    assert set(told["sql"]) == {"postgres", "spark"}
    assert "%(p0)s" in told["sql"]["postgres"]
    assert "130" in map(str, told["parameters"].values())
    assert told["plan"]
    assert analyst.get("/v1/rules/schema").json()["title"] == "Rule of a segment"


def test_a_rule_that_is_wrong_is_told_place_by_place(analyst: httpx.Client) -> None:
    wrong = rule("wrong")
    wrong["rule"] |= {"stream": "nothing", "colour": "red"}
    answer = analyst.post("/v1/segments", json={"rule": wrong})
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:insight:problem:invalid-rule")
    assert any("colour" in each["where"] for each in answer.json()["errors"])
    del wrong["rule"]["colour"]
    answer = analyst.post("/v1/segments", json={"rule": wrong})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["where"] == "rule/rule/stream"
    for path in ("preview", "explain"):
        answer = analyst.post(f"/v1/rules/{path}", json={"rule": wrong, "as_of": AS_OF})
        assert answer.status_code == 422, answer.text


@pytest.mark.parametrize(
    "as_of", [5, "5", "soon", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-01:00", True, {}]
)
def test_a_moment_that_is_none_is_refused(analyst: httpx.Client, as_of: object) -> None:
    for path in ("preview", "explain"):
        asked = {"rule": rule("trial"), "as_of": as_of}
        answer = analyst.post(f"/v1/rules/{path}", json=asked)
        assert (answer.status_code, "as_of" in answer.text) == (422, True), answer.text


@pytest.mark.parametrize(
    "as_of", ["2026-03-02", "2026-03-02T00:00:00", "2026-03-02T05:00:00+05:00"]
)
def test_a_moment_is_in_utc(analyst: httpx.Client, as_of: str) -> None:
    seen = analyst.post("/v1/rules/preview", json={"rule": rule("trial", 130), "as_of": as_of})
    assert (seen.json()["as_of"], seen.json()["customers"]) == (AS_OF, 2)


def test_an_edit_says_which_version_it_began_from(analyst: httpx.Client, created: str) -> None:
    address = f"/v1/segments/{created}"
    first = analyst.get(address)
    assert (first.json()["version"], first.json()["status"]) == (1, "draft")
    edited = {"rule": rule(created, 130), "message": "higher"}
    assert analyst.post(f"{address}/versions", json=edited).status_code == 428
    headers = {"If-Match": '"1"'}
    second = analyst.post(f"{address}/versions", json=edited, headers=headers)
    assert (second.status_code, second.json()["base_version"]) == (201, 1)
    late = analyst.post(f"{address}/versions", json=edited, headers=headers)
    assert (late.status_code, late.json()["type"]) == (409, "urn:insight:problem:conflict")
    changed = analyst.get(f"{address}/versions/2/differences").json()["items"]
    assert [(each["pointer"], str(each["after"])) for each in changed] == [("/rule/value", "130")]
    numbers = [each["version"] for each in analyst.get(f"{address}/versions").json()["items"]]
    assert numbers == [2, 1]
    other = analyst.post(
        f"{address}/versions", json={"rule": rule("another")}, headers={"If-Match": '"2"'}
    )
    assert other.status_code == 422
    assert analyst.post("/v1/segments", json={"rule": rule(created)}).status_code == 409


def test_a_version_is_activated_reverted_and_retired(
    analyst: httpx.Client, created: str, warehouse: DatabaseEndpoint
) -> None:
    address = f"/v1/segments/{created}"
    for number in ("1", True, 1.5):
        assert analyst.post(f"{address}/activate", json={"version": number}).status_code == 422
    assert analyst.post(f"{address}/activate", json={}).json()["status"] == "active"
    analyst.post(
        f"{address}/versions", json={"rule": rule(created, 1)}, headers={"If-Match": '"1"'}
    )
    assert analyst.post(f"{address}/activate", json={"version": 2}).json()["version"] == 2
    preview = {"rule": rule(created, 130), "as_of": AS_OF}
    change = analyst.post("/v1/rules/preview", json=preview).json()["change"]
    assert (change["version"], change["entering"], change["leaving"]) == (2, 0, 1)
    assert change["would_leave"] == ["c-1"]
    back = analyst.post(f"{address}/revert", json={"to_version": 1}).json()
    assert (back["version"], back["status"], back["rule"]["rule"]["value"]) == (3, "active", 100)
    reader = rule("reader-" + created)
    reader["rule"] = {"kind": "member", "segment": created}
    assert analyst.post("/v1/segments", json={"rule": reader}).status_code == 201
    assert analyst.post(f"/v1/segments/reader-{created}/activate", json={}).status_code == 200
    assert analyst.post(f"{address}/retire").status_code == 409
    assert analyst.post(f"/v1/segments/reader-{created}/retire").json()["status"] == "retired"
    assert analyst.post(f"{address}/retire").json()["status"] == "retired"
    listed = {each["segment"]: each for each in analyst.get("/v1/segments").json()["items"]}
    assert (listed[created]["newest"], listed[created]["active"]) == (3, None)
    with connect(warehouse) as connection:
        actions = connection.execute(
            "select action from access.audit_log where object = %s order by seq",
            (f"segment:{created}",),
        ).fetchall()
    assert verify(warehouse).breaks == ()
    assert [action for (action,) in actions] == [
        f"segment.{each}"
        for each in ("create", "activate", "create", "activate", "revert", "activate", "retire")
    ]


def test_members_changes_and_overlap_are_those_of_the_runtime(
    analyst: httpx.Client, viewer: httpx.Client, created: str, warehouse: DatabaseEndpoint
) -> None:
    other = f"other-{created}"
    analyst.post("/v1/segments", json={"rule": rule(other)})
    with connect(warehouse) as connection:
        for segment, customers in ((created, ["c-0", "c-1", "c-2"]), (other, ["c-2", "c-3"])):
            connection.execute(
                """insert into segmentation.pipelines (segment, version, as_of)
                   values (%s, 1, '2026-03-02 00:00+00')""",
                (segment,),
            )
            for customer in customers:
                connection.execute(
                    """with member as (
                           insert into segmentation.current_members (segment, customer_id)
                           values (%(segment)s, %(customer)s)
                       )
                       insert into segmentation.membership_changes
                           (segment, customer_id, version, change, as_of, evidence)
                       values (%(segment)s, %(customer)s, 1, 'entered', now(), '[{"holds": true}]')
                    """,
                    {"segment": segment, "customer": customer},
                )
    address = f"/v1/segments/{created}"
    first = analyst.get(f"{address}/members", params={"limit": 2}).json()
    rest = analyst.get(
        f"{address}/members", params={"limit": 2, "cursor": first["next_cursor"]}
    ).json()
    assert [e["customer_id"] for e in (*first["items"], *rest["items"])] == ["c-0", "c-1", "c-2"]
    history = analyst.get(f"{address}/history").json()["items"]
    assert [each["customer_id"] for each in history] == ["c-2", "c-1", "c-0"]
    masked = viewer.get(f"{address}/members").json()["items"]
    assert all(each["customer_id"].startswith("masked-") for each in masked)
    shared = [
        each
        for each in viewer.get("/v1/segment-overlap").json()["items"]
        if {each["segment"], each["other"]} == {created, other}
    ]
    assert [(each["shared"], each["jaccard"]) for each in shared] == [(1, "0.2500")]
    why = analyst.get(f"{address}/customers/c-0").json()
    assert (why["matches"], why["is_member"], why["conditions"][0]["holds"]) == (True, True, True)
    assert why["conditions"][0]["found"].startswith("180")
    mine = analyst.get("/v1/customers/c-2/segments")
    assert mine.headers["x-source"] == "postgres"
    assert [each["segment"] for each in mine.json()["segments"]] == sorted([created, other])
    assert viewer.get("/v1/customers/c-2/segments").status_code == 403


def test_what_is_kept_of_segments_is_read_without_the_owner(
    analyst: httpx.Client, created: str, warehouse: DatabaseEndpoint, options: ApiOptions
) -> None:
    address = f"/v1/segments/{created}"
    analyst.post(
        f"{address}/versions", json={"rule": rule(created, 1)}, headers={"If-Match": '"1"'}
    )
    # Nobody answers there.
    without = replace(options, owner=replace(options.owner, port=1))
    with (
        running_api(warehouse, without) as running,
        running.as_role(Role.analyst) as client,
    ):
        for path in (
            "/v1/segments",
            *(f"{address}{e}" for e in ("", "/versions", "/versions/1", "/members", "/history")),
            f"{address}/versions/2/differences",
            "/v1/segment-overlap",
            "/v1/customers/c-0/segments",
        ):
            answer = client.get(path)
            assert (answer.status_code, answer.json()) == (200, analyst.get(path).json() | {
                name: value for name, value in answer.json().items() if name == "updated_at"
            })  # fmt: skip
        for path in ("/members", "/history", "", "/versions"):
            assert client.get(f"/v1/segments/nobody{path}").status_code == 404
        asked = {"rule": rule(created), "as_of": AS_OF}
        refused = [
            client.post("/v1/rules/preview", json=asked),
            client.get(f"{address}/customers/c-0"),
            client.post(f"{address}/activate", json={}),
        ]
        assert [each.status_code for each in refused] == [503, 503, 503]
        assert all(options.owner.host not in each.text for each in refused)


def test_a_request_that_is_repeated_makes_one_version(analyst: httpx.Client) -> None:
    headers = {"Idempotency-Key": "segment-of-one"}
    body = {"rule": rule("made-once")}
    answers = [analyst.post("/v1/segments", json=body, headers=headers) for _ in range(2)]
    assert [each.status_code for each in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert answers[1].headers["idempotency-replayed"] == "true"


def test_every_change_that_is_repeated_is_done_once(analyst: httpx.Client, created: str) -> None:
    address = f"/v1/segments/{created}"
    edited = {"rule": rule(created, 130)}

    def twice(path: str, body: object, match: str | None = None) -> dict[str, Any]:
        headers = {"Idempotency-Key": f"{created}-{path}", **({"If-Match": match} if match else {})}
        answers = [analyst.post(f"{address}/{path}", json=body, headers=headers) for _ in range(2)]
        assert {each.status_code for each in answers} <= {200, 201}, answers[0].text
        assert answers[0].json() == answers[1].json()
        assert answers[1].headers["idempotency-replayed"] == "true"
        found: dict[str, Any] = answers[0].json()
        return found

    assert twice("activate", {})["status"] == "active"
    assert twice("versions", edited, '"1"')["version"] == 2
    assert twice("revert", {"to_version": 1})["version"] == 3
    assert twice("retire", None)["status"] == "retired"
    numbers = [each["version"] for each in analyst.get(f"{address}/versions").json()["items"]]
    assert numbers == [3, 2, 1]
    # What is edited belongs to the request.
    headers = {"Idempotency-Key": f"{created}-versions", "If-Match": '"3"'}
    other = analyst.post(f"{address}/versions", json=edited, headers=headers)
    assert other.json()["type"] == "urn:insight:problem:idempotency-key-reused"


def test_a_change_that_failed_can_be_tried_again_under_its_key(
    analyst: httpx.Client, created: str
) -> None:
    address = f"/v1/segments/{created}"
    headers = {"Idempotency-Key": f"{created}-try"}
    assert analyst.post(f"{address}/retire", headers=headers).status_code == 422
    assert analyst.post(f"{address}/activate", json={}).status_code == 200
    done = analyst.post(f"{address}/retire", headers=headers)
    assert (done.status_code, "idempotency-replayed" in done.headers) == (200, False)


def test_a_revert_can_say_which_version_is_the_newest(analyst: httpx.Client, created: str) -> None:
    address = f"/v1/segments/{created}"
    analyst.post(
        f"{address}/versions", json={"rule": rule(created, 1)}, headers={"If-Match": '"1"'}
    )
    back = {"to_version": 1}
    late = analyst.post(f"{address}/revert", json=back, headers={"If-Match": '"1"'})
    assert (late.status_code, late.json()["type"]) == (409, "urn:insight:problem:conflict")
    done = analyst.post(f"{address}/revert", json=back, headers={"If-Match": '"2"'})
    assert (done.status_code, done.json()["version"], done.json()["base_version"]) == (200, 3, 2)
    wrong = analyst.post(f"{address}/revert", json=back, headers={"If-Match": "newest"})
    assert wrong.status_code == 422


def test_a_rule_that_is_too_deep_or_too_long_is_refused(analyst: httpx.Client) -> None:
    deep: dict[str, Any] = rule("deep")["rule"]
    for _ in range(12):
        deep = {"kind": "not", "condition": deep}
    long = {"kind": "all", "conditions": [rule("x", number)["rule"] for number in range(70)]}
    for condition in (deep, long):
        answer = analyst.post("/v1/segments", json={"rule": rule("much", rule=condition)})
        assert answer.status_code == 422


def test_each_role_does_what_it_may(clients: Callable[[Role | None], httpx.Client]) -> None:
    body = {"rule": rule("by-a-role")}
    for role, expected in ((Role.viewer, 403), (Role.ops, 403), (Role.admin, 201)):
        assert clients(role).post("/v1/segments", json=body).status_code == expected
