"""Redis away, Postgres away, and an end in order."""

import re
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import redis
from own_postgres import OwnPostgres
from pydantic import SecretStr
from running_api import SECRET, RunningApi, running_api
from served_marts import create_marts, fill_marts
from waiting import eventually
from workplace import Workplace

from insight.database import DatabaseEndpoint, connect
from insight.services import RedisEndpoint, stop
from insight.services.account import fallback_folder
from insight.services.redis import EmbeddedRedis
from segmentation.runtime.cache import cache_key, write_customers
from serving.access.database_roles import prepare_database
from serving.access.permissions import Role
from serving.api.options import ApiOptions
from serving.segment_lookup import lookup_key, publish_segments


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    server = EmbeddedRedis(tmp_path / "redis", tmp_path / "redis.log")
    yield server
    server.stop()


def test_without_redis_a_segment_comes_from_postgres_and_says_so(
    warehouse: DatabaseEndpoint, options: ApiOptions, own_redis: EmbeddedRedis
) -> None:
    endpoint = own_redis.start()
    path = "/v1/customers/c-003/segment"
    with (
        running_api(warehouse, replace(options, redis=endpoint)) as running,
        running.as_role(Role.analyst) as client,
    ):
        unfilled = client.get(path)
        assert unfilled.headers["x-source"] == "postgres"
        publish_segments(warehouse, endpoint)
        filled = client.get(path)
        assert filled.headers["x-source"] == "redis"
        assert filled.json()["segment_name"] == unfilled.json()["segment_name"] == "Segment 3"
        own_redis.stop()
        for _ in range(3):
            away = client.get(path)
            assert (away.status_code, away.headers["x-source"]) == (200, "postgres")
        assert client.get("/v1/customers/nobody/segment").status_code == 404
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["redis"]) == (200, "down")
        own_redis.start()
        eventually(lambda: client.get(path).headers["x-source"] == "redis")
        metrics = running.as_role(Role.ops).get("/metrics").text
        assert 'insight_api_segment_reads_total{source="redis"}' in metrics


def test_segments_by_rule_come_from_redis_and_without_it_from_postgres(
    warehouse: DatabaseEndpoint, options: ApiOptions, own_redis: EmbeddedRedis
) -> None:
    endpoint = own_redis.start()
    customer = "of-rules é?"
    path = f"/v1/customers/{quote(customer, safe='')}/segments"
    with connect(warehouse) as connection:
        for segment in ("spenders", "returners"):
            connection.execute(
                """insert into segmentation.pipelines (segment, version, as_of)
                   values (%s, 2, now())""",
                (segment,),
            )
            connection.execute(
                "insert into segmentation.current_members (segment, customer_id) values (%s, %s)",
                (segment, customer),
            )
    with (
        running_api(warehouse, replace(options, redis=endpoint)) as running,
        running.as_role(Role.analyst) as client,
        running.as_role(Role.ops) as ops,
        closing(redis.Redis.from_url(endpoint.url.get_secret_value())) as cache,
    ):

        def asked(source: str) -> dict[str, Any]:
            answer = client.get(path)
            assert (answer.status_code, answer.headers["x-source"]) == (200, source), answer.text
            found: dict[str, Any] = answer.json()
            found.pop("updated_at")
            return found

        unwritten = asked("postgres")
        assert [each["segment"] for each in unwritten["segments"]] == ["returners", "spenders"]
        with connect(warehouse) as connection:
            write_customers(connection, cache, [customer, "somebody"])
        assert asked("redis") == unwritten
        tag = client.get(path).headers["etag"]
        assert client.get(path, headers={"If-None-Match": tag}).status_code == 304
        for wrong in (
            cache.get(cache_key("somebody")),
            b"",
            b"something else",
            b"\xff",
            b'{"customer_id": "of-rules", "segments": 1}',
            b"[]",
        ):
            assert wrong is not None
            cache.set(cache_key(customer), wrong)
            assert asked("postgres") == unwritten
        with connect(warehouse) as connection:
            write_customers(connection, cache, [customer])
        assert asked("redis") == unwritten
        own_redis.stop()
        assert [asked("postgres") for _ in range(3)] == [unwritten] * 3
        own_redis.start()
        # The cache comes back from its file, or is written again.
        with connect(warehouse) as connection:
            write_customers(connection, cache, [customer])
        eventually(lambda: client.get(path).headers["x-source"] == "redis")
        metrics = ops.get("/metrics").text
    for source in ("redis", "postgres"):
        assert f'insight_api_segment_reads_total{{source="{source}"}}' in metrics


def test_the_short_way_to_a_segment_is_the_route_in_everything_but_time(
    warehouse: DatabaseEndpoint, options: ApiOptions, own_redis: EmbeddedRedis
) -> None:
    endpoint = own_redis.start()
    publish_segments(warehouse, endpoint)
    path = "/v1/customers/c-003/segment"
    with (
        running_api(warehouse, replace(options, redis=endpoint)) as running,
        running.as_role(Role.analyst) as client,
        running.as_role(Role.ops) as ops,
    ):
        # HEAD goes through the framework; its tag is that of the body.
        short, route = client.get(path), client.head(path)
        different = {"date", "x-request-id"}
        assert {k: v for k, v in short.headers.items() if k not in different} == {
            k: v for k, v in route.headers.items() if k not in different
        }
        assert short.headers["x-source"] == "redis"
        assert client.get(path, headers={"X-Request-Id": "mine"}).headers["x-request-id"] == "mine"
        tag = {"If-None-Match": short.headers["etag"]}
        assert client.get(path, headers=tag).status_code == 304
        assert client.get(f"{path}?a=b").status_code == 422
        assert client.post(path).status_code == 405
        counted = [
            line for line in ops.get("/metrics").text.splitlines()
            if line.startswith("insight_api_requests_total") and "{customer_id}/segment" in line
        ]  # fmt: skip
        assert any('method="GET"' in line and line.endswith(" 2.0") for line in counted), counted
        with running.as_role(Role.viewer) as viewer:
            assert viewer.get(path).status_code == 403
        with running.client(running.key(Role.analyst, requests_per_minute=3)) as limited:
            statuses = [limited.get(path).status_code for _ in range(8)]
        assert set(statuses) == {200, 429}
        assert statuses.count(200) <= 6
        with closing(redis.Redis.from_url(endpoint.url.get_secret_value())) as other:
            other.set(lookup_key("c-003"), "something else")
            assert client.get(path).headers["x-source"] == "postgres"
            other.delete(lookup_key("c-003"))
            # As an earlier version kept it.
            other.hset(lookup_key("c-003"), "segment_id", "3")
            assert client.get(path).headers["x-source"] == "postgres"
        key = running.key(Role.analyst)
        with running.client(key[:-1] + ("1" if key.endswith("0") else "0")) as forged:
            assert forged.get(path).status_code == 401


def test_a_redis_that_hangs_is_not_waited_for(
    warehouse: DatabaseEndpoint, options: ApiOptions
) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        hanging = replace(options, redis=RedisEndpoint(SecretStr(url)))
        with (
            running_api(warehouse, hanging) as running,
            running.as_role(Role.analyst) as client,
        ):
            for _ in range(5):
                answer = client.get("/v1/customers/c-003/segment")
                assert (answer.status_code, answer.headers["x-source"]) == (200, "postgres")


def test_without_postgres_it_is_told_and_with_it_all_goes_on(
    options: ApiOptions, own_redis: EmbeddedRedis
) -> None:
    with tempfile.TemporaryDirectory(prefix="insight-api-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        server = OwnPostgres(Path(folder))
        try:
            create_marts(server.endpoint)
            fill_marts(server.endpoint)
            roles = prepare_database(server.endpoint, SECRET)
            here = replace(options, database=roles, redis=own_redis.start(), key_cache_seconds=60)
            with running_api(server.endpoint, here) as running:
                _answers_before_during_and_after(running, server)
        finally:
            server.stop()


def _answers_before_during_and_after(running: RunningApi, server: OwnPostgres) -> None:
    with running.as_role(Role.analyst) as client:
        assert client.get("/v1/stores").status_code == 200
        server.crash()
        answer = client.get("/v1/stores")
        assert answer.status_code == 503
        assert "127.0.0.1" not in answer.text
        assert client.get("/readyz").status_code == 503
        assert client.get("/healthz").status_code == 200
        server.start()
        eventually(lambda: client.get("/readyz").status_code == 200)
        eventually(lambda: client.get("/v1/stores").status_code == 200)


@pytest.fixture
def workplace(project_root: Path) -> Iterator[Workplace]:
    with tempfile.TemporaryDirectory(prefix="insight-api-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        home = Path(folder) / "home"
        yield Workplace(home, project_root / "dbt_pipeline")
        stop(home, now=True)
        subprocess.run(["rm", "-rf", str(fallback_folder(home))], check=True)


def test_the_role_serves_keys_of_the_command_line_and_ends_in_order(workplace: Workplace) -> None:
    role = workplace.start("api")
    try:
        assert role.stdout is not None
        line = next(line for line in role.stdout if line.startswith("API"))
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert found
        address = found[0]
        made = workplace.insight("keys", "create", "--role", "admin", "--expires", "90d")
        assert made.returncode == 0, made.stderr
        token = made.stdout.strip()
        headers = {"Authorization": f"Bearer {token}"}
        assert httpx.get(f"{address}/v1/me", headers=headers).json()["roles"] == ["admin"]
        empty = httpx.get(f"{address}/v1/customers", headers=headers)
        assert (empty.status_code, "insight run" in empty.text) == (503, True)
        listed = workplace.insight("keys", "list")
        key_id = token.split("_")[1]
        assert key_id in listed.stdout
        assert token not in listed.stdout
        assert workplace.insight("keys", "revoke", key_id).returncode == 0
        eventually(lambda: httpx.get(f"{address}/v1/me", headers=headers).status_code == 401)
        checked = workplace.insight("audit", "verify")
        assert "2 rows, unbroken. Head: 2:" in checked.stdout
        head = checked.stdout.split("Head: ")[1].strip()
        assert workplace.insight("audit", "verify", "--expect", head).returncode == 0
        wrong = workplace.insight("audit", "verify", "--expect", f"9:{'a' * 64}")
        assert (wrong.returncode, "rows 3 to 9 were cut off" in wrong.stdout) == (1, True)
        started = time.monotonic()
        role.send_signal(signal.SIGTERM)
        assert role.wait(30) == 0
        assert time.monotonic() - started < 30
    finally:
        role.kill()
        role.wait()


def test_a_taken_port_is_told(workplace: Workplace, api: RunningApi) -> None:
    port = api.address.rpartition(":")[2]
    refused = workplace.insight("api", "--port", port)
    assert refused.returncode == 1
    assert "--port" in refused.stderr
