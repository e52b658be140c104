"""The API over real HTTP: errors, pages, tags, compression, repetition, and attempts to harm it."""

import gzip
import json
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import timedelta
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import APIRouter, Depends
from prometheus_client.parser import text_string_to_metric_families
from running_api import RunningApi, running_api

from insight.audit import verify
from insight.database import DatabaseEndpoint, connect
from serving.access.masking import PREFIX
from serving.access.permissions import Role
from serving.access.server_secret import ServerSecret
from serving.api.gate import open_to_all
from serving.api.options import ApiOptions
from serving.api.problems import MEDIA_TYPE

LISTS = (
    "/v1/sales/daily",
    "/v1/refunds",
    "/v1/stores/daily",
    "/v1/associations",
    "/v1/anomalies",
    "/v1/customers",
    "/v1/rfm/web",
    "/v1/rfm/tills",
    "/v1/lifetime-value",
    "/v1/streams",
    "/v1/live-customers",
)


def problem(answer: httpx.Response, status: int, kind: str) -> dict[str, object]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == MEDIA_TYPE
    document: dict[str, object] = answer.json()
    assert document["type"] == f"urn:insight:problem:{kind}"
    assert document["status"] == status
    assert document["request_id"] == answer.headers["x-request-id"]
    return document


def pages(client: httpx.Client, path: str, limit: int) -> list[dict[str, object]]:
    items: list[dict[str, object]] = []
    cursor: str | None = None
    while True:
        parameters: dict[str, str | int] = {
            "limit": limit,
            **({"cursor": cursor} if cursor else {}),
        }
        page = client.get(path, params=parameters).json()
        items += page["items"]
        cursor = page["next_cursor"]
        assert len(page["items"]) == limit or cursor is None
        if cursor is None:
            return items


@pytest.mark.parametrize("path", LISTS)
def test_pages_of_any_size_together_are_the_list(analyst: httpx.Client, path: str) -> None:
    whole = pages(analyst, path, 1000)
    assert len(whole) >= 4
    assert pages(analyst, path, 3) == whole
    assert pages(analyst, path, 1) == whole


def test_filters_filter(analyst: httpx.Client) -> None:
    def count(path: str) -> int:
        return len(analyst.get(path).json()["items"])

    assert count("/v1/customers?segment_id=3") == 5
    assert count("/v1/sales/daily?first_day=2019-01-03&last_day=2019-01-05") == 3
    assert count("/v1/associations?shop=retail&min_lift=3") == 2
    assert count("/v1/anomalies?since=2026-02-01T10:02:00Z") == 2
    assert count("/v1/rfm/web?r_score=2&limit=1000") == 4
    assert count("/v1/refunds?store_id=S2") == 0


def test_figures_of_both_shops(analyst: httpx.Client) -> None:
    kpis = analyst.get("/v1/kpis?first_day=2026-02-01&last_day=2026-02-05").json()
    assert kpis["tills"]["net_revenue"] == "1350.00"
    assert kpis["tills"]["refund_share"] == "0.1000"
    assert kpis["web"]["orders"] == 0
    problem(
        analyst.get("/v1/kpis?first_day=2026-02-05&last_day=2026-02-01"), 422, "invalid-request"
    )
    (store,) = [s for s in analyst.get("/v1/stores").json()["items"] if s["store_id"] == "S1"]
    assert store["net_revenue"] == "2700.00"


def test_a_customer_has_scores_and_value_when_there_are_some(analyst: httpx.Client) -> None:
    whole = analyst.get("/v1/customers/c-000").json()
    assert whole["rfm"]["rfm_segment"] == "Champions"
    assert whole["lifetime_value"]["expected_value"] == "45.00"
    bare = analyst.get("/v1/customers/c-001").json()
    assert (bare["rfm"], bare["lifetime_value"]) == (None, None)
    problem(analyst.get("/v1/customers/nobody"), 404, "no-such-customer")


def test_viewers_see_the_same_pseudonym_everywhere_and_cannot_use_it(
    viewer: httpx.Client, analyst: httpx.Client
) -> None:
    for path in (
        "/v1/customers",
        "/v1/rfm/web",
        "/v1/rfm/tills",
        "/v1/lifetime-value",
        "/v1/live-customers",
    ):
        masked = [item["customer_id"] for item in pages(viewer, path, 4)]
        plain = [item["customer_id"] for item in pages(analyst, path, 4)]
        assert len(masked) == len(set(masked)) == len(plain)
        assert all(str(each).startswith(PREFIX) for each in masked)
        assert not set(masked) & set(plain)
    known = {i["customer_id"] for i in viewer.get("/v1/customers").json()["items"]}
    refunds = viewer.get("/v1/refunds")
    assert {i["customer_id"] for i in refunds.json()["items"]} <= known
    assert "c-0" not in refunds.text
    some = next(iter(known))
    problem(viewer.get(f"/v1/customers/{some}"), 403, "not-allowed")
    problem(viewer.get(f"/v1/customers/{some}/segment"), 403, "not-allowed")
    problem(analyst.get(f"/v1/customers/{some}"), 404, "no-such-customer")
    problem(analyst.get(f"/v1/customers/{some}/segment"), 404, "no-such-customer")


def test_a_cursor_neither_shows_an_id_nor_fits_another_list(viewer: httpx.Client) -> None:
    cursor = viewer.get("/v1/customers?limit=2").json()["next_cursor"]
    assert b"c-00" not in gzip.compress(cursor.encode())
    for path in (
        f"/v1/rfm/web?cursor={cursor}",
        f"/v1/customers?segment_id=1&cursor={cursor}",
        f"/v1/customers?cursor={cursor[:-3]}AAA",
        "/v1/customers?cursor=WyJjLTAwMCJd",
    ):
        document = problem(viewer.get(path), 422, "invalid-request")
        assert document["errors"] == [
            {"where": "query.cursor", "message": "not a cursor of this list"}
        ]


def test_a_parameter_that_is_misspelt_or_stands_twice_is_told(analyst: httpx.Client) -> None:
    for path in ("/v1/customers?segmentid=3", "/v1/customers?limit=1&limit=2", "/v1/me?a=b"):
        problem(analyst.get(path), 422, "invalid-request")
    for day in ("0", "20190101", "2019-1-1", "1546300800", "2019-02-30", "2019-01-01T00"):
        problem(analyst.get("/v1/kpis", params={"first_day": day}), 422, "invalid-request")


INJECTIONS = (
    "' or '1'='1",
    "'; drop table marts.fct_customer_segments; --",
    '" union select digest from access.api_keys --',
    "%s %(a)s {0}",
    "$1",
    "\\x00",
    "1e309",
    "NaN",
    "-1",
    "2019-13-45",
    "0x7fffffffffffffff",
    "99999999999999999999999999",
    "../../etc/passwd",
    "%2e%2e%2fadmin",
    "<script>alert(1)</script>",
    "\u202e\U0001f600",
    "a" * 3000,
    "\x00",
    "\n\r",
)


@pytest.mark.parametrize("value", INJECTIONS)
def test_nothing_in_a_parameter_is_more_than_a_value(
    api: RunningApi, analyst: httpx.Client, value: str
) -> None:
    paths = analyst.get("/v1/openapi.json").json()["paths"]
    for path, operations in paths.items():
        if "get" not in operations or path == "/metrics":
            continue
        parameters = operations["get"].get("parameters", [])
        filled = {p["name"]: value for p in parameters if p["in"] == "path"}
        address = path.format(**{name: _quoted(text) for name, text in filled.items()})
        for each in [p["name"] for p in parameters if p["in"] == "query"] or [None]:
            answer = analyst.get(address, params={each: value} if each else None)
            assert answer.status_code in (200, 403, 404, 414, 422), (address, each, answer.text)
            # A customer who is in no segment is answered with the id that was asked for.
            answered = answer.text.replace(json.dumps(value, ensure_ascii=False), "")
            assert "fct_" not in answered or "{" not in path
    assert len(analyst.get("/v1/customers?limit=1000").json()["items"]) == 25


def _quoted(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


@pytest.mark.parametrize("header", ["Idempotency-Key", "X-Request-Id", "If-None-Match", "Cookie"])
@pytest.mark.parametrize("value", [b"' or 1=1 --", b"\xff\xfe", b"a" * 5000, b"$(id)"])
def test_a_header_is_no_more_than_a_value(admin: httpx.Client, header: str, value: bytes) -> None:
    answer = admin.get("/v1/me", headers={header: value})
    assert answer.status_code == 200
    assert value not in answer.headers["x-request-id"].encode()
    answer = admin.post("/v1/keys", headers={header: value}, json={"name": "?!", "role": "viewer"})
    assert answer.status_code == 422


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Basic YTpi",
        "bearer x.y.z",
        "Bearer insight_000000000000_" + "a" * 52 + "00000000",
        "Bearer ' or '1'='1",
        "Bearer \xff",
        "Digest username=admin",
    ],
)
def test_what_is_no_key_opens_nothing(api: RunningApi, authorization: str) -> None:
    with api.client(None) as client:
        answer = client.get("/v1/me", headers={"Authorization": authorization.encode("latin-1")})
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")


def test_forged_expired_revoked_and_foreign_keys_open_nothing(
    api: RunningApi, admin: httpx.Client
) -> None:
    good = api.key(Role.viewer)
    with api.client(good) as client:
        assert client.get("/v1/me").status_code == 200
    other = api.key(Role.viewer)
    # The id of one key, the secret of another.
    key_id, rest = good.split("_")[1], other.split("_")[2]
    for token in (
        f"insight_{key_id}_{rest}",
        good.upper(),
        good + "a",
        api.key(Role.admin, secret=ServerSecret(bytes(32))),
    ):
        with api.client(token) as client:
            problem(client.get("/v1/me"), 401, "invalid-credentials")
    short = api.key(Role.viewer, lifetime=timedelta(milliseconds=1))
    with api.client(short) as client:
        problem(client.get("/v1/me"), 401, "invalid-credentials")
    assert admin.post(f"/v1/keys/{key_id}/revoke").status_code == 200
    with api.client(good) as client:
        problem(client.get("/v1/me"), 401, "invalid-credentials")
        two = [("Authorization", f"Bearer {other}"), ("Authorization", f"Bearer {good}")]
        problem(client.get("/v1/me", headers=httpx.Headers(two)), 401, "invalid-credentials")


def test_who_sends_the_request_cannot_say_where_from_or_who(api: RunningApi) -> None:
    with api.client(None) as client:
        for headers in (
            {"X-Forwarded-For": "127.0.0.1", "X-Real-IP": "127.0.0.1"},
            {"X-Forwarded-User": "admin", "X-Role": "admin"},
            {"X-Original-URL": "/healthz", "X-HTTP-Method-Override": "OPTIONS"},
        ):
            assert client.get("/v1/keys", headers=headers).status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        "/v1/keys/",
        "/v1//keys",
        "/V1/keys",
        "/v1/../v1/nothing",
        "/v1/keys%2f",
        "/v1/%2e%2e/x",
        "//",
    ],
)
def test_a_trick_in_the_path_is_another_path(api: RunningApi, path: str) -> None:
    assert b" 404 " in raw(api, f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")


def raw(api: RunningApi, request: str | bytes) -> bytes:
    address = urlsplit(api.address)
    with closing(socket.create_connection((address.hostname, address.port), 20)) as connection:
        connection.sendall(request.encode("latin-1") if isinstance(request, str) else request)
        answer = b""
        while chunk := connection.recv(65_536):
            answer += chunk
    return answer


@pytest.mark.parametrize(
    "request_text",
    [
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "nonsense\r\n\r\n",
        "GET / HTTP/1.1\r\nBad Header\x00: a\r\n\r\n",
    ],
)
def test_a_request_that_is_none_is_refused_and_the_server_goes_on(
    api: RunningApi, analyst: httpx.Client, request_text: str
) -> None:
    assert b" 400 " in raw(api, request_text)
    assert analyst.get("/healthz").status_code == 200


def test_a_head_without_end_is_cut_off(api: RunningApi) -> None:
    endless = "GET /healthz HTTP/1.1\r\nHost: a\r\n" + "X-A: b\r\n" * 40_000
    with suppress(ConnectionError):
        assert b"200" not in raw(api, endless)


def test_too_much_is_refused(admin: httpx.Client, options: ApiOptions) -> None:
    problem(admin.get("/v1/me?a=" + "b" * 9000), 414, "url-too-long")
    many = [(f"X-{number}", "a") for number in range(100)]
    problem(admin.get("/v1/me", headers=httpx.Headers(many)), 431, "headers-too-large")
    large = b"x" * (options.body_bytes + 1)
    problem(admin.post("/v1/keys", content=large), 413, "body-too-large")

    def in_chunks() -> object:
        for _ in range(options.body_bytes // 1000 + 2):
            yield b"x" * 1000

    headers = {"Content-Type": "application/json"}
    answer = admin.post("/v1/keys", content=in_chunks(), headers=headers)  # type: ignore[arg-type]
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b"[" * 100_000,
        b'{"name": "a", "role": "root"}',
        b'{"name": "a", "role": "admin", "digest": "x"}',
        b'{"name": "\\ud800", "role": "admin"}',
        b'{"name": "a\\u0000", "role": "admin"}',
        b'{"name": "a", "role": "admin", "expires_in_days": 1e400}',
        b'{"name": "a", "role": "admin", "expires_in_days": true}',
        b'{"name": "a", "role": "admin", "requests_per_minute": -1}',
        b'{"name": "' + b"a" * 1000 + b'", "role": "admin"}',
        b"\xff\xfe\x00",
    ],
)
def test_a_body_that_is_none_is_told(admin: httpx.Client, body: bytes) -> None:
    answer = admin.post("/v1/keys", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == MEDIA_TYPE


def test_wrong_addresses_and_methods_are_problems(analyst: httpx.Client) -> None:
    problem(analyst.get("/v1/nothing"), 404, "not-found")
    answer = analyst.delete("/v1/keys")
    problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "GET, POST"
    document = problem(analyst.get("/v1/customers?limit=0&segment_id=x"), 422, "invalid-request")
    errors = document["errors"]
    assert isinstance(errors, list)
    assert {error["where"] for error in errors} == {"query.limit", "query.segment_id"}


def test_an_answer_that_is_known_is_not_sent_again(analyst: httpx.Client) -> None:
    first = analyst.get("/v1/customers?limit=7")
    tag = first.headers["etag"]
    for wanted in (tag, f'"other", {tag}', "*", tag.removeprefix("W/")):
        again = analyst.get("/v1/customers?limit=7", headers={"If-None-Match": wanted})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
    assert analyst.get("/v1/customers?limit=8", headers={"If-None-Match": tag}).status_code == 200


def test_answers_are_compressed_for_who_takes_it(analyst: httpx.Client) -> None:
    plain = analyst.get("/v1/sales/daily", headers={"Accept-Encoding": "identity"})
    packed = analyst.get("/v1/sales/daily", headers={"Accept-Encoding": "br, gzip;q=0.5"})
    refused = analyst.get("/v1/sales/daily", headers={"Accept-Encoding": "gzip;q=0"})
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < len(plain.content) / 3
    assert packed.content == plain.content == refused.content
    assert "content-encoding" not in plain.headers
    assert "content-encoding" not in refused.headers
    assert packed.headers["etag"] == plain.headers["etag"]


def test_head_answers_as_get_without_a_body(analyst: httpx.Client) -> None:
    head, get = analyst.head("/v1/stores"), analyst.get("/v1/stores")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["etag"] == get.headers["etag"]


def test_a_request_keeps_a_harmless_id(analyst: httpx.Client) -> None:
    given = analyst.get("/v1/me", headers={"X-Request-Id": "abc-1.2_3"})
    assert given.headers["x-request-id"] == "abc-1.2_3"
    assert analyst.get("/v1/me").headers["x-request-id"] != given.headers["x-request-id"]


KEY = {"name": "dashboard", "role": "viewer", "expires_in_days": 5}


def test_a_repeated_post_is_answered_again_and_done_once(
    admin: httpx.Client, warehouse: DatabaseEndpoint, api: RunningApi
) -> None:
    headers = {"Idempotency-Key": "repeat-me-1"}
    with ThreadPoolExecutor(4) as pool:
        answers = list(
            pool.map(lambda _: admin.post("/v1/keys", json=KEY, headers=headers), range(4))
        )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert sum("idempotency-replayed" in answer.headers for answer in answers) == 3
    key = answers[0].json()["key"]
    with api.client(key) as client:
        assert client.get("/v1/me").json()["roles"] == ["viewer"]
    other = admin.post("/v1/keys", json={**KEY, "role": "admin"}, headers=headers)
    problem(other, 422, "idempotency-key-reused")
    with connect(warehouse) as connection:
        rows = connection.execute("select idempotent_answers::text from access.idempotent_answers")
        stored = "".join(str(row[0]) for row in rows)
    assert key.encode().hex() not in stored
    assert "repeat-me-1" not in stored
    # Another caller's key of the same text is another key.
    with api.as_role(Role.admin) as another:
        assert another.post("/v1/keys", json=KEY, headers=headers).json()["key"] != key


def test_a_post_that_failed_may_be_repeated(admin: httpx.Client, api: RunningApi) -> None:
    headers = {"Idempotency-Key": "repeat-me-2"}
    for _ in range(2):
        answer = admin.post("/v1/keys/ffffffffffff/revoke", headers=headers)
        problem(answer, 404, "no-such-key")


def test_changes_stand_in_the_audit_log_with_who_and_which_request(
    admin: httpx.Client, warehouse: DatabaseEndpoint
) -> None:
    actor = admin.get("/v1/me").json()["actor"]
    created = admin.post("/v1/keys", json=KEY, headers={"X-Request-Id": "make-it"}).json()
    assert created["created_by"] == actor
    admin.post(f"/v1/keys/{created['key_id']}/revoke")
    revoked, made = admin.get("/v1/audit?limit=2").json()["items"]
    assert [each["action"] for each in (made, revoked)] == ["key.create", "key.revoke"]
    assert (made["actor"], made["request_id"], made["client"]) == (actor, "make-it", "127.0.0.1")
    assert made["object"] == f"key:{created['key_id']}"
    assert created["key"] not in json.dumps(made)
    assert verify(warehouse).breaks == ()
    page = admin.get("/v1/audit?limit=1").json()
    following = admin.get(f"/v1/audit?limit=1&cursor={page['next_cursor']}").json()
    assert following["items"][0]["seq"] == page["items"][0]["seq"] - 1


def test_a_caller_above_its_rate_waits(api: RunningApi) -> None:
    with api.client(api.key(Role.viewer, requests_per_minute=5)) as client:
        answers = [client.get("/v1/me") for _ in range(11)]
    refused = [answer for answer in answers if answer.status_code == 429]
    # The minute can end in between.
    assert 1 <= len(refused) <= 6
    problem(refused[0], 429, "too-many-requests")
    assert 1 <= int(refused[0].headers["retry-after"]) <= 60


def test_who_guesses_keys_waits(warehouse: DatabaseEndpoint, options: ApiOptions) -> None:
    from dataclasses import replace

    strict = replace(options, failures_per_minute=5)
    with running_api(warehouse, strict) as running, running.client("insight_no") as client:
        statuses = [client.get("/v1/me").status_code for _ in range(14)]
    assert set(statuses) == {401, 429}


def test_marts_that_are_empty_or_not_built_say_what_to_run(
    warehouse: DatabaseEndpoint, analyst: httpx.Client
) -> None:
    with connect(warehouse) as connection:
        connection.execute("alter table marts.fct_revenue_anomalies rename to away")
        connection.execute("create table marts.kept as table marts.fct_sales_monthly")
        connection.execute("truncate marts.fct_sales_monthly")
    try:
        document = problem(analyst.get("/v1/anomalies"), 503, "not-built")
        assert "Run: insight run" in str(document["detail"])
        assert "marts.fct_revenue_anomalies" in str(document["detail"])
        problem(analyst.get("/v1/sales/monthly"), 503, "not-built")
    finally:
        with connect(warehouse) as connection:
            connection.execute("alter table marts.away rename to fct_revenue_anomalies")
            connection.execute("insert into marts.fct_sales_monthly table marts.kept")
            connection.execute("drop table marts.kept")
    assert analyst.get("/v1/anomalies").status_code == 200


def test_a_defect_shows_nothing_of_itself(warehouse: DatabaseEndpoint, options: ApiOptions) -> None:
    router = APIRouter()

    @router.get("/broken", dependencies=[Depends(open_to_all)])
    async def broken() -> None:
        raise RuntimeError("password=hunter2")

    with running_api(warehouse, options, (router,)) as running, running.client(None) as client:
        answer = client.get("/v1/broken")
        problem(answer, 500, "internal-error")
        assert "hunter2" not in answer.text
        assert client.get("/healthz").status_code == 200


def test_metrics_are_by_route_template_with_edges_where_promises_are(
    clients: Callable[[Role | None], httpx.Client],
) -> None:
    ops = clients(Role.ops)
    ops.get("/v1/customers/c-000")
    ops.get("/v1/customers/c-003")
    ops.get("/v1/nothing/at/all")
    families = {
        family.name: family for family in text_string_to_metric_families(ops.get("/metrics").text)
    }
    routes = {sample.labels["route"] for sample in families["insight_api_requests"].samples}
    assert "/v1/customers/{customer_id}" in routes
    assert "unmatched" in routes
    assert not [route for route in routes if "c-00" in route or "nothing" in route]
    edges = {
        sample.labels["le"]
        for sample in families["insight_api_request_seconds"].samples
        if "le" in sample.labels
    }
    assert {"0.001", "0.005", "0.01", "0.025", "0.05"} <= edges
    for family in families.values():
        assert not family.name.startswith("insight_") or family.documentation.count(".") >= 2
