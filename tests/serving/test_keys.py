"""Keys, the secret behind them, masks, seals and rates."""

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from running_api import SECRET
from waiting import eventually

from insight.database import DatabaseEndpoint, connect
from insight.errors import ConfigurationError, InputError
from serving.access.database_roles import drop_roles, prepare_database
from serving.access.keys import (
    key_digest,
    lifetime_of,
    list_keys,
    new_key,
    parse_key,
    revoke_key,
    store_key,
)
from serving.access.masking import PREFIX, mask
from serving.access.permissions import Role
from serving.access.rate_limit import RateLimiter
from serving.access.sealing import Seal
from serving.access.server_secret import ServerSecret, load_secret
from serving.access.tables import create_tables
from serving.api.gate import KeyDirectory
from serving.api.warehouse import Writer


def test_a_key_is_stored_as_a_hash_under_the_secret(database: DatabaseEndpoint) -> None:
    create_tables(database)
    key = new_key(SECRET, role=Role.analyst, name="a", created_by="test")
    with connect(database) as connection:
        store_key(connection, key)
        row = connection.execute("select api_keys::text, digest from access.api_keys").fetchone()
    assert row is not None
    assert key.token not in str(row[0])
    assert key.token.split("_")[2][:52] not in str(row[0])
    assert row[1] == key_digest(SECRET, key.token)
    assert key.token not in repr(key)
    assert key_digest(ServerSecret(bytes(32)), key.token) != row[1]


def test_keys_are_revoked_once(database: DatabaseEndpoint) -> None:
    create_tables(database)
    with connect(database) as connection:
        key = store_key(connection, new_key(SECRET, role=Role.ops, name="a", created_by="test"))
        assert key.state(SECRET.secret_id) == "active"
        assert key.state("another") == "orphaned"
        assert revoke_key(connection, key.key_id).state(SECRET.secret_id) == "revoked"
        assert [each.state(SECRET.secret_id) for each in list_keys(connection)] == ["revoked"]
        with pytest.raises(InputError, match="insight keys list"):
            revoke_key(connection, key.key_id)


def test_a_key_ends_when_it_said(database: DatabaseEndpoint) -> None:
    create_tables(database)
    new = new_key(SECRET, role=Role.ops, name="a", created_by="t", lifetime=timedelta(days=90))
    with connect(database) as connection:
        key = store_key(connection, new)
    now = datetime.now(UTC)
    assert key.state(SECRET.secret_id, now + timedelta(days=89)) == "active"
    assert key.state(SECRET.secret_id, now + timedelta(days=91)) == "expired"


@given(st.integers(0, 80), st.characters())
def test_a_key_with_any_character_changed_is_not_one(place: int, character: str) -> None:
    token = new_key(SECRET, role=Role.ops, name="a", created_by="t").token
    changed = token[:place] + character + token[place + 1 :]
    assert parse_key(token) is not None
    assert changed == token or parse_key(changed) is None


@given(st.text())
def test_no_other_text_is_a_key(text: str) -> None:
    assert parse_key(text) is None


@pytest.mark.parametrize("text", ["", "90", "d", "-1d", "1.5d", "90 d", "90D", "999999d", "٣d"])
def test_a_lifetime_that_is_none_is_told(text: str) -> None:
    with pytest.raises(InputError, match="90d, 12h or 30m"):
        lifetime_of(text)


def test_lifetimes_are_days_hours_and_minutes() -> None:
    assert lifetime_of("90d") == timedelta(days=90)
    assert lifetime_of("12h") == timedelta(hours=12)
    assert lifetime_of("30m") == timedelta(minutes=30)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "x" * 101},
        {"name": "a\nb"},
        {"lifetime": timedelta(0)},
        {"lifetime": timedelta(days=4000)},
        {"requests_per_minute": 0},
    ],
)
def test_a_key_that_cannot_be_is_not_made(wrong: dict[str, object]) -> None:
    values: dict[str, object] = {"name": "a", **wrong}
    with pytest.raises(InputError):
        new_key(SECRET, role=Role.ops, created_by="t", **values)  # type: ignore[arg-type]


def test_the_secret_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    found: list[ServerSecret] = []
    threads = [
        threading.Thread(target=lambda: found.append(load_secret(tmp_path / "home")))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({secret.derive("x") for secret in found}) == 1
    path = tmp_path / "home" / "access.secret"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["access.secret"]
    assert path.read_text() not in repr(found[0])


def test_a_short_secret_is_refused_without_quoting_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="INSIGHT_API_SECRET") as caught:
        load_secret(tmp_path, SecretStr("hunter2"))
    assert "hunter2" not in str(caught.value)


@given(st.text(min_size=1), st.text(min_size=1))
def test_masks_are_stable_and_tell_customers_apart(one: str, other: str) -> None:
    one, other = (each.encode(errors="replace").decode() for each in (one, other))
    assert mask(one, b"k") == mask(one, b"k")
    assert (mask(one, b"k") == mask(other, b"k")) == (one == other)
    assert mask(one, b"k") != mask(one, b"l")
    assert mask(one, b"k").startswith(PREFIX)
    assert len(mask(one, b"k")) == len(PREFIX) + 24


@given(st.binary(min_size=1), st.binary(), st.binary())
def test_a_seal_opens_only_unchanged_and_in_its_context(
    content: bytes, context: bytes, other: bytes
) -> None:
    seal = Seal(bytes(64))
    sealed = seal.seal_text(content, context)
    assert seal.open_text(sealed, context) == content
    assert seal.seal_text(content, context) == sealed
    if other != context:
        assert seal.open_text(sealed, other) is None
    assert seal.open_text(sealed[:-2], context) is None
    assert Seal(bytes([1] * 64)).open_text(sealed, context) is None


@given(st.text())
def test_text_that_was_never_sealed_opens_to_nothing(text: str) -> None:
    assert Seal(bytes(64)).open_text(text, b"") is None


class Counters:
    """A shared counter, and whether it is away."""

    def __init__(self) -> None:
        self.values: dict[str, int] = {}
        self.calls = 0
        self.is_away = False

    async def count(self, key: str, amount: int, _: int) -> int | None:
        self.calls += 1
        if self.is_away:
            return None
        self.values[key] = self.values.get(key, 0) + amount
        return self.values[key]


def allowed(limiters: list[RateLimiter], requests: int, limit: int) -> int:
    async def take() -> int:
        verdicts = [
            await limiters[number % len(limiters)].take("a", limit) for number in range(requests)
        ]
        return sum(verdict.is_allowed for verdict in verdicts)

    return asyncio.run(take())


@pytest.mark.parametrize("limit", [1, 7, 60, 1000])
@pytest.mark.parametrize("servers", [1, 3])
def test_servers_together_let_no_more_through_than_the_limit(limit: int, servers: int) -> None:
    counters = Counters()
    limiters = [RateLimiter(counters.count, lambda: 0.0) for _ in range(servers)]
    seen = allowed(limiters, 3 * limit + 10, limit)
    assert seen <= limit
    assert seen == limit or servers > 1


def test_a_request_seldom_asks_the_shared_counter() -> None:
    counters = Counters()
    assert allowed([RateLimiter(counters.count, lambda: 0.0)], 10_000, 6_000) == 6_000
    assert counters.calls < 100


def test_without_the_shared_counter_each_server_counts_alone() -> None:
    counters = Counters()
    counters.is_away = True
    assert allowed([RateLimiter(counters.count, lambda: 0.0)], 100, 60) == 60
    assert allowed([RateLimiter(None, lambda: 0.0)], 100, 60) == 60


def test_the_next_minute_begins_anew() -> None:
    now = 59.0
    limiter = RateLimiter(None, lambda: now)
    assert allowed([limiter], 100, 60) == 60
    verdict = asyncio.run(limiter.take("a", 60))
    assert (verdict.is_allowed, verdict.retry_after) == (False, 1)
    now = 60.0
    assert allowed([limiter], 100, 60) == 60


class CountingDirectory(KeyDirectory):
    """Counts how often the table is read."""

    reads = 0

    async def _read_once(self, key_id: str) -> dict[str, Any] | None:
        self.reads += 1
        return await super()._read_once(key_id)


def test_however_many_ask_for_a_key_one_reads_it_and_a_revoked_one_is_forgotten(
    database: DatabaseEndpoint,
) -> None:
    writer = Writer(prepare_database(database, SECRET).writer)
    key = new_key(SECRET, role=Role.ops, name="a", created_by="test")
    presented = parse_key(key.token)
    assert presented is not None
    with connect(database) as connection:
        store_key(connection, key)

    async def ask() -> None:
        await writer.open()
        directory = CountingDirectory(writer, SECRET, seconds=60)
        found = await asyncio.gather(*(directory.principal(presented) for _ in range(50)))
        assert {each.actor for each in found if each} == {f"key:{key.key_id}"}
        assert (len([each for each in found if each]), directory.reads) == (50, 1)
        await directory.principal(presented)
        assert directory.reads == 1
        with connect(database) as connection:
            revoke_key(connection, key.key_id)
        assert await directory.principal(presented) is not None
        directory.forget(key.key_id)
        assert await directory.principal(presented) is None
        quick = CountingDirectory(writer, SECRET, seconds=0.0)
        assert await quick.principal(presented) is None
        await writer.close()

    try:
        asyncio.run(ask())
        eventually(lambda: _sessions_of_others(database) == 0)
    finally:
        drop_roles(database)


def _sessions_of_others(database: DatabaseEndpoint) -> int:
    with connect(database) as connection:
        rows = connection.execute(
            """select from pg_stat_activity
               where datname = current_database() and usename <> current_user"""
        ).fetchall()
    return len(rows)
