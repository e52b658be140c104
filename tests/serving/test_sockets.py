"""`/v1/ws` with real clients: topics, resuming, slow clients, credentials, and bad messages."""

import contextlib
import json
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from psycopg.types.json import Jsonb
from running_api import RunningApi, running_api
from waiting import eventually
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from insight.database import DatabaseEndpoint
from insight.database import connect as connect_database
from serving.access.keys import revoke_key
from serving.access.masking import PREFIX
from serving.access.permissions import Permission, Role
from serving.api.options import ApiOptions
from serving.api.sockets.topic import Batch, OffsetError, Topic
from serving.api.sockets.topics import segment_membership, topics_of
from serving.api.sockets.topics.live_customers import MOST_RESUMED, Place
from serving.api.sockets.topics.transactions import next_step, place_of, place_text
from serving.api.warehouse import Warehouse

Message = dict[str, Any]


class Secrets:
    """A topic that only an administrator may hear."""

    name = "secrets"
    permission = Permission.keys_manage
    seconds = 0.1

    def __init__(self, _: Warehouse):
        self.reads = 0

    async def start(self) -> str:
        return "0"

    async def read(self, after: str) -> Batch:
        return Batch([], after)

    async def resume(self, since: str | None, until: str) -> AsyncIterator[Batch]:
        return
        yield Batch([{"since": since}], until)


class Flood(Secrets):
    """Rows of 20 KB as quickly as they can be read."""

    name = "flood"
    permission = Permission.streams_read
    seconds = 0.01

    async def read(self, after: str) -> Batch:
        self.reads += 1
        return Batch([{"text": "x" * 20_000}], str(int(after) + 1))


class Counted(Secrets):
    """A topic that knows how often it was begun to be read."""

    name = "counted"
    permission = Permission.streams_read
    starts = 0

    async def start(self) -> str:
        Counted.starts += 1
        return "0"


def all_topics(warehouse: Warehouse) -> list[Topic]:
    more = (Secrets, Flood, Counted)
    return [*topics_of(warehouse), *(each(warehouse) for each in more)]


@pytest.fixture(scope="module")
def api(warehouse: DatabaseEndpoint, options: ApiOptions) -> Iterator[RunningApi]:
    with running_api(warehouse, replace(options, most_waiting=60), topics=all_topics) as running:
        yield running


class Listener:
    """A client that reads messages as objects."""

    def __init__(self, connection: ClientConnection):
        self.connection = connection

    def next(self, *, of: str | None = None) -> Message:
        """The next message, or the next one of a type."""
        while True:
            message: Message = json.loads(self.connection.recv(timeout=20))
            if of in (None, message["type"]):
                return message

    def say(self, **message: object) -> None:
        self.connection.send(json.dumps(message))

    def rows(self, count: int) -> list[Message]:
        """So many rows, from as many messages as it takes."""
        found: list[Message] = []
        while len(found) < count:
            found += self.next(of="rows")["rows"]
        assert len(found) == count
        return found

    def closing(self) -> tuple[int, list[Message]]:
        """The code with which the server closes, and the messages before."""
        messages = []
        with contextlib.suppress(ConnectionClosed):
            while True:
                messages.append(self.next())
        assert self.connection.protocol.close_code is not None
        return self.connection.protocol.close_code, messages


Listen = Callable[..., Listener]


@pytest.fixture(scope="module")
def keys(api: RunningApi) -> dict[Role, str]:
    return {role: api.key(role) for role in Role}


@pytest.fixture
def listen(api: RunningApi, keys: dict[Role, str]) -> Iterator[Listen]:
    """Opens connections that are closed at the end of the test."""
    with contextlib.ExitStack() as stack:

        def opened(query: str = "", token: str | None = keys[Role.analyst]) -> Listener:
            return stack.enter_context(listener(api, query, token))

        yield opened


@contextlib.contextmanager
def listener(api: RunningApi, query: str, token: str | None) -> Iterator[Listener]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    address = f"ws{api.address.removeprefix('http')}/v1/ws?{query}"
    with connect(address, additional_headers=headers, open_timeout=20) as connection:
        yield Listener(connection)


@pytest.fixture
def till(warehouse: DatabaseEndpoint) -> Iterator[Callable[..., None]]:
    """Loads sales into partitions, as the loader does: rows and progress in one transaction."""
    with connect_database(warehouse) as connection:
        connection.execute("truncate streaming.transactions_raw, streaming.stream_progress")
    loaded: dict[int, int] = {}

    def load(partition: int, count: int) -> None:
        first = loaded.get(partition, 0)
        with connect_database(warehouse) as connection:
            connection.execute(
                """insert into streaming.stream_progress
                       (stream, cluster_id, topic, partition, first_offset, next_offset, epoch,
                        owner, high_watermark)
                   values ('transactions', 'c', 'transactions', %(partition)s, 0, %(next)s, 1, 'o',
                           %(next)s)
                   on conflict (cluster_id, topic, partition) do update set
                       next_offset = excluded.next_offset""",
                {"partition": partition, "next": first + count},
            )
            connection.execute(
                """insert into streaming.transactions_raw
                       (transaction_id, product_id, store_id, customer_id, amount, timestamp,
                        _offset, _partition_id, _load_id)
                   select 't' || %(partition)s || '-' || n, 'P1', 'S1', 'c-003', 12.50,
                          '2026-03-01T12:00:00Z', n, partition_id, 1
                   from generate_series(%(first)s, %(next)s - 1) as n, streaming.stream_progress
                   where partition = %(partition)s""",
                {"partition": partition, "first": first, "next": first + count},
            )
        loaded[partition] = first + count

    yield load
    with connect_database(warehouse) as connection:
        connection.execute("truncate streaming.transactions_raw, streaming.stream_progress")


def ids(rows: list[Message]) -> list[str]:
    return sorted(row["transaction_id"] for row in rows)


def test_sales_are_heard_as_they_are_loaded_with_product_and_store(
    listen: Listen, till: Callable[..., None]
) -> None:
    till(0, 3)
    listener = listen("topics=transactions")
    assert listener.next()["topics"][:4] == [
        "live-customers", "segment-membership", "stream-status", "transactions",
    ]  # fmt: skip
    assert listener.next()["type"] == "subscribed"
    till(0, 2)
    till(1, 1)
    rows = listener.rows(3)
    assert ids(rows) == ["t0-3", "t0-4", "t1-0"]
    # The product is in no mart of this test.
    assert (rows[0]["store_name"], rows[0]["product_name"]) == ("Harbour", None)
    assert (rows[0]["amount"], rows[0]["customer_id"]) == ("12.50", "c-003")
    assert rows[0]["sold_at"] == "2026-03-01T12:00:00Z"


def test_who_comes_back_gets_what_it_missed_and_nothing_twice(
    listen: Listen, till: Callable[..., None]
) -> None:
    till(0, 10)
    first = listen("topics=transactions")
    began = first.next(of="subscribed")["offset"]
    till(0, 700)
    offset, heard = began, []
    while len(heard) < 500:
        message = first.next(of="rows")
        offset, heard = message["offset"], heard + message["rows"]
    first.connection.close()
    till(1, 40)
    again = listen(f"topics=transactions&since={offset}")
    assert again.next(of="subscribed")["offset"] == offset
    till(0, 5)
    rest = again.rows(700 + 40 + 5 - len(heard))
    assert len(set(ids([*heard, *rest]))) == 745
    whole = listen("topics=stream-status,transactions&since=" + f"transactions@{began}")
    found: list[Message] = []
    while len(found) < 745:
        message = whole.next(of="rows")
        if message["topic"] == "transactions":
            found += message["rows"]
    assert len(set(ids(found))) == len(found) == 745


def test_an_offset_that_is_too_old_or_none_is_told(
    listen: Listen, till: Callable[..., None]
) -> None:
    till(0, 6_000)
    listener = listen()
    listener.next(of="topics")
    partition = listen("topics=transactions").next(of="subscribed")["offset"].split(":")[0]
    for since, kind in (
        (f"{partition}:10", "offset-too-old"),
        (f"{partition}:6001", "not-an-offset"),
        ("999999:0", "not-an-offset"),
        ("1:2:3", "not-an-offset"),
        ("' or 1=1", "not-an-offset"),
        ("-1:5", "not-an-offset"),
    ):
        listener.say(op="subscribe", topic="transactions", since=since)
        message = listener.next()
        assert (message["type"], message["kind"]) == ("error", kind), since
        assert message["topic"] == "transactions"
    listener.say(op="subscribe", topic="transactions", since=f"{partition}:5998")
    assert listener.next()["type"] == "subscribed"
    assert ids(listener.rows(2)) == ["t0-5998", "t0-5999"]


def test_who_is_far_behind_is_told_how_much_was_skipped(
    listen: Listen, till: Callable[..., None]
) -> None:
    till(0, 1)
    listener = listen("topics=transactions")
    listener.next(of="subscribed")
    till(0, 7_000)
    message = listener.next(of="rows")
    assert (message["skipped"], len(message["rows"])) == (6_500, 500)


def test_viewers_hear_masked_customers(
    listen: Listen, keys: dict[Role, str], till: Callable[..., None], api: RunningApi
) -> None:
    till(0, 1)
    both = [listen("topics=transactions", keys[role]) for role in (Role.viewer, Role.ops)]
    for each in both:
        each.next(of="subscribed")
    till(0, 1)
    (masked,), (plain,) = (each.rows(1) for each in both)
    assert plain["customer_id"] == "c-003"
    with api.client(keys[Role.viewer]) as client:
        shown = [row["customer_id"] for row in client.get("/v1/customers").json()["items"]]
    assert masked["customer_id"].startswith(PREFIX)
    assert masked["customer_id"] in shown


def test_the_state_of_streams_is_heard_whole_and_then_when_it_changes(
    listen: Listen, warehouse: DatabaseEndpoint
) -> None:
    listener = listen("topics=stream-status&since=5")
    whole = listener.next(of="rows")
    assert {"transactions", "refunds"} <= {row["stream"] for row in whole["rows"]}
    for paused in (True, False):
        with connect_database(warehouse) as connection:
            connection.execute(
                "update streaming.streams set paused = %s where stream = 'refunds'", (paused,)
            )
        message = listener.next(of="rows")
        assert [(row["stream"], row["paused"]) for row in message["rows"]] == [("refunds", paused)]
        assert int(message["offset"]) > int(whole["offset"])


def write_live_customers(warehouse: DatabaseEndpoint, revision: int, numbers: list[int]) -> None:
    """One transaction of live segments, as far as listeners see it."""
    names = [f"B{number:04d}" for number in numbers]
    with connect_database(warehouse) as connection:
        connection.execute(
            """insert into segmentation.live_customers
                   (customer_id, customer_number, balance, customer_lifetime_value,
                    days_from_last_transaction, avg_transaction_amt, num_transactions,
                    transaction_freq, segment, last_updated, last_transaction_at, amount_moved,
                    recent_at, recent_cents)
               select name, 0, 10.5, 1, 0, 1, %(revision)s, 1, 'High-Value', now(), now(), 1,
                      '{}', '{}'
               from unnest(%(names)s::text[]) as name
               on conflict (customer_id) do update set num_transactions = %(revision)s""",
            {"revision": revision, "names": names},
        )
        connection.execute(
            """insert into segmentation.live_change_log (revision, customers, customer_ids)
               values (%s, %s, %s)""",
            (revision, len(names), names),
        )
        connection.execute(
            """insert into segmentation.live_state
                   (revision, load_id, partition_id, "offset", duplicates, events, mini_batches,
                    refits, refused_refits, clock, turn, pending, names, features, scaler_mean,
                    scaler_scale, centroids, weights, fitted_distance, distance, choices,
                    start_file, start_sha256)
               values (%s, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '{}', '{}', '{}', '{}', '{}', '{}', '{}',
                       0, 0, %s, '', '')
               on conflict (is_only) do update set revision = excluded.revision""",
            (revision, Jsonb({})),
        )


@pytest.fixture
def live(warehouse: DatabaseEndpoint) -> Iterator[Callable[[int, list[int]], None]]:
    yield lambda revision, numbers: write_live_customers(warehouse, revision, numbers)
    with connect_database(warehouse) as connection:
        for table in ("live_customers", "live_change_log", "live_state"):
            connection.execute(f"truncate segmentation.{table}")  # type: ignore[call-overload]


def test_changed_live_customers_are_heard_and_resumed(
    listen: Listen, live: Callable[[int, list[int]], None], keys: dict[Role, str]
) -> None:
    live(1, [1, 2, 3])
    listener = listen("topics=live-customers")
    offset = listener.next(of="subscribed")["offset"]
    live(2, [2])
    live(3, [4, 5])
    rows = {row["customer_id"]: row for row in listener.rows(3)}
    assert set(rows) == {"B0002", "B0004", "B0005"}
    assert rows["B0002"]["num_transactions"] == 2
    assert rows["B0002"]["balance"] == "10.50"
    again = listen(f"topics=live-customers&since={offset}", keys[Role.viewer])
    assert all(row["customer_id"].startswith(PREFIX) for row in again.rows(3))
    live(4, list(range(1200)))
    assert len({row["customer_id"] for row in again.rows(1200)}) == 1200
    middle = str(replace(Place.of(offset), revision=4, position=1190))
    late = listen(f"topics=live-customers&since={middle}")
    assert len(late.rows(10)) == 10


def test_changes_that_are_not_kept_are_told(
    listen: Listen, live: Callable[[int, list[int]], None], warehouse: DatabaseEndpoint
) -> None:
    live(1, [1])
    offset = Place.of(listen("topics=live-customers").next(of="subscribed")["offset"])
    live(2, [2])
    live(3, [3])
    listener = listen()
    listener.next(of="topics")

    def kind(place: Place) -> str:
        listener.say(op="subscribe", topic="live-customers", since=str(place))
        while (message := listener.next())["type"] == "rows":
            # Of the subscription before.
            continue
        return str(message.get("kind", message["type"]))

    assert kind(replace(offset, start=1)) == "offset-too-old"
    assert kind(replace(offset, revision=9)) == "not-an-offset"
    with connect_database(warehouse) as connection:
        connection.execute("delete from segmentation.live_change_log where revision < 3")
    assert kind(offset) == "offset-too-old"
    assert kind(replace(offset, revision=2)) == "subscribed"
    live(4, list(range(MOST_RESUMED + 1)))
    # What the reader has not come to yet is not missed.
    eventually(lambda: kind(replace(offset, revision=3)) == "offset-too-old")


def test_live_segments_that_start_over_are_told_to_who_listens(
    listen: Listen, live: Callable[[int, list[int]], None], warehouse: DatabaseEndpoint
) -> None:
    live(1, [1])
    listener = listen("topics=live-customers")
    listener.next(of="subscribed")
    with connect_database(warehouse) as connection:
        connection.execute("truncate segmentation.live_state, segmentation.live_change_log")
    live(0, [])
    assert listener.next(of="rows")["skipped"] > 0
    live(1, [7])
    assert [row["customer_id"] for row in listener.rows(1)] == ["B0007"]


def test_a_client_that_does_not_read_is_told_and_closed(
    api: RunningApi, keys: dict[Role, str]
) -> None:
    address = urlsplit(api.address)
    assert address.hostname
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.connect((address.hostname, address.port))
    headers = {"Authorization": f"Bearer {keys[Role.analyst]}"}
    uri = f"ws://{address.netloc}/v1/ws?topics=flood"
    with connect(uri, sock=slow, additional_headers=headers, max_queue=1) as connection:
        # It reads no more once its own queue holds two messages, and the sockets fill up.
        eventually(lambda: closed_with(api, keys, "4408") == 0 and flooded(api, keys) > 60)
        time.sleep(2)
        code, messages = Listener(connection).closing()
    assert code == 4408
    assert messages[-1]["kind"] == "too-slow"
    offsets = [int(each["offset"]) for each in messages if each["type"] == "rows"]
    assert offsets == list(range(offsets[0], offsets[0] + len(offsets)))
    eventually(lambda: closed_with(api, keys, "4408") == 1)


def test_a_client_that_reads_nothing_at_all_is_cut_off(
    api: RunningApi, keys: dict[Role, str]
) -> None:
    address = urlsplit(api.address)
    with contextlib.closing(socket.socket()) as dead:
        dead.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        dead.connect((address.hostname, address.port))
        dead.sendall(
            f"GET /v1/ws?topics=flood HTTP/1.1\r\nHost: {address.netloc}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            f"Authorization: Bearer {keys[Role.analyst]}\r\n\r\n".encode()
        )
        eventually(lambda: sockets(api, keys) == 1)
        eventually(lambda: sockets(api, keys) == 0, seconds=60)


def metric(api: RunningApi, keys: dict[Role, str], name: str, **labels: str) -> float:
    text = httpx.get(
        f"{api.address}/metrics", headers={"Authorization": f"Bearer {keys[Role.ops]}"}
    ).text
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def sockets(api: RunningApi, keys: dict[Role, str]) -> float:
    return metric(api, keys, "insight_api_sockets")


def closed_with(api: RunningApi, keys: dict[Role, str], code: str) -> float:
    return metric(api, keys, "insight_api_sockets_closed_total", code=code)


def flooded(api: RunningApi, keys: dict[Role, str]) -> float:
    return metric(api, keys, "insight_api_socket_messages_total", topic="flood")


@pytest.mark.parametrize("token", [None, "insight_no", "x.y.z"])
def test_without_credentials_nobody_listens(listen: Listen, token: str | None) -> None:
    code, messages = listen("topics=stream-status", token).closing()
    assert code == 4401
    assert [message["type"] for message in messages] == ["error"]


def test_what_a_role_may_not_hear_closes(listen: Listen, keys: dict[Role, str]) -> None:
    code, messages = listen("topics=secrets", keys[Role.viewer]).closing()
    assert (code, messages[-1]["kind"]) == (4403, "not-allowed")
    later = listen("topics=stream-status", keys[Role.ops])
    later.next(of="subscribed")
    later.say(op="subscribe", topic="secrets")
    assert later.closing()[0] == 4403
    assert listen("topics=secrets", keys[Role.admin]).next(of="subscribed")["topic"] == "secrets"


def test_a_key_that_expires_or_is_revoked_ends_its_connections(
    listen: Listen, api: RunningApi
) -> None:
    short = listen("topics=stream-status", api.key(Role.viewer, lifetime=timedelta(seconds=8)))
    token = api.key(Role.viewer)
    revoked = listen("topics=stream-status", token)
    for each in (short, revoked):
        each.next(of="subscribed")
    with api.as_role(Role.admin) as admin:
        assert admin.post(f"/v1/keys/{token.split('_')[1]}/revoke").status_code == 200
    assert (lambda end: (end[0], end[1][-1]["kind"]))(revoked.closing()) == (4401, "revoked")
    assert (lambda end: (end[0], end[1][-1]["kind"]))(short.closing()) == (4401, "expired")


def test_a_key_that_is_revoked_elsewhere_is_refused_before_it_is_read_again(
    warehouse: DatabaseEndpoint, options: ApiOptions
) -> None:
    slow = replace(options, key_cache_seconds=3_600)
    with running_api(warehouse, slow) as running:
        token = running.key(Role.viewer)
        with running.client(token) as client, listener(running, "", token) as one:
            one.next(of="topics")
            assert client.get("/v1/me").status_code == 200
            # A new server forgets once more when its listening has begun.
            eventually(lambda: listens(warehouse))
            assert client.get("/v1/me").status_code == 200
            with connect_database(warehouse) as connection:
                revoke_key(connection, token.split("_")[1])
            eventually(lambda: client.get("/v1/me").status_code == 401)
            assert one.closing()[0] == 4401


def listens(warehouse: DatabaseEndpoint) -> bool:
    with connect_database(warehouse) as connection:
        row = connection.execute(
            """select count(*) > 0 from pg_stat_activity
               where datname = current_database()
                   and application_name = 'insight api revocations'"""
        ).fetchone()
    return row == (True,)


def test_a_ticket_lets_a_browser_in_once(listen: Listen, api: RunningApi) -> None:
    token = api.key(Role.viewer)
    with api.client(token) as client:
        answer = client.post("/v1/ws/tickets")
        assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
        ticket = answer.json()["ticket"]
        # An answer that is repeated would hand a used ticket out.
        refused = client.post("/v1/ws/tickets", headers={"Idempotency-Key": "my-ticket"})
        assert (refused.status_code, "Idempotency-Key" in refused.text) == (422, True)
        other = client.post("/v1/ws/tickets").json()["ticket"]
    listener = listen(f"topics=stream-status&ticket={ticket}", None)
    listener.next(of="subscribed")
    for wrong in (ticket, ticket[:-4] + "AAAA", "x", "a" * 5_000):
        assert listen(f"topics=stream-status&ticket={wrong}", None).closing()[0] == 4401
    with api.as_role(Role.admin) as admin:
        admin.post(f"/v1/keys/{token.split('_')[1]}/revoke")
    assert listener.closing()[0] == 4401
    assert listen(f"topics=stream-status&ticket={other}", None).closing()[0] == 4401


@pytest.mark.parametrize(
    "query",
    [
        "topics=nothing",
        "topics=stream-status,nothing",
        "topics=stream-status&offset=1",
        "topics=stream-status&since=transactions@1:2",
        "topics=stream-status,transactions&since=1:2",
        "since=5",
    ],
)
def test_an_address_that_asks_for_what_is_not_there_is_closed(listen: Listen, query: str) -> None:
    code, messages = listen(query).closing()
    assert (code, messages[-1]["kind"]) == (4400, "bad-address")


def test_an_address_that_is_too_long_is_refused(listen: Listen) -> None:
    with pytest.raises(InvalidStatus) as refused:
        listen("topics=" + "a" * 9_000)
    assert refused.value.response.status_code == 400


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"op": "delete"}',
        '{"op": "subscribe"}',
        '{"op": "subscribe", "topic": 5}',
        '{"op": "subscribe", "topic": "transactions", "role": "admin"}',
        '{"op": "subscribe", "topic": "transactions", "since": "' + "1" * 3_000 + '"}',
        "[" * 3_000,
        '{"op": "\\ud800"}',
        b"\x00\x01",
    ],
)
def test_a_message_that_is_none_is_told_and_the_connection_goes_on(
    listen: Listen, text: str | bytes
) -> None:
    listener = listen()
    listener.next(of="topics")
    listener.connection.send(text)
    assert listener.next()["kind"] == "not-a-message"
    listener.say(op="ping")
    assert listener.next() == {"type": "pong"}
    listener.say(op="subscribe", topic="nothing")
    assert listener.next()["kind"] == "no-such-topic"


def test_a_message_that_is_too_large_closes(listen: Listen) -> None:
    listener = listen()
    listener.next(of="topics")
    listener.connection.send("x" * 5_000)
    assert listener.closing()[0] == 1009


def test_who_says_too_much_is_closed(listen: Listen, api: RunningApi) -> None:
    listener = listen("", api.key(Role.viewer, requests_per_minute=5))
    listener.next(of="topics")
    # The server may close while the client still talks.
    with contextlib.suppress(ConnectionClosed):
        for _ in range(12):
            listener.say(op="ping")
    assert listener.closing()[0] == 4429


def test_a_topic_has_one_reader_for_all_and_none_for_nobody(listen: Listen) -> None:
    for starts in (1, 2):
        listeners = [listen("topics=counted") for _ in range(5)]
        for each in listeners:
            each.next(of="subscribed")
        assert Counted.starts == starts
        for each in listeners:
            each.say(op="unsubscribe", topic="counted")
            each.next(of="unsubscribed")


def test_who_unsubscribes_hears_no_more(listen: Listen, till: Callable[..., None]) -> None:
    till(0, 1)
    listener = listen("topics=transactions")
    listener.next(of="subscribed")
    listener.say(op="unsubscribe", topic="transactions")
    assert listener.next()["type"] == "unsubscribed"
    till(0, 1)
    time.sleep(1)
    listener.say(op="ping")
    assert listener.next()["type"] == "pong"


def test_there_are_only_so_many_connections(
    warehouse: DatabaseEndpoint, options: ApiOptions
) -> None:
    with running_api(warehouse, replace(options, most_sockets=2)) as running:
        token = running.key(Role.viewer)
        with listener(running, "", token) as one, listener(running, "", token) as two:
            one.next(of="topics")
            two.next(of="topics")
            with listener(running, "", token) as third:
                assert third.closing()[0] == 1013
        eventually(lambda: metric(running, {Role.ops: running.key(Role.ops)},
                                  "insight_api_sockets") == 0)  # fmt: skip
        with listener(running, "", token) as fourth:
            assert fourth.next()["type"] == "topics"


def test_a_server_that_ends_says_so(warehouse: DatabaseEndpoint, options: ApiOptions) -> None:
    with contextlib.ExitStack() as stack:
        with running_api(warehouse, options) as running:
            open_one = stack.enter_context(
                listener(running, "topics=stream-status", running.key(Role.viewer))
            )
            open_one.next(of="subscribed")
        assert open_one.closing()[0] == 1012


def test_a_place_is_the_same_after_it_was_text() -> None:
    for place in ({}, {3: 0}, {1: 5, 20: 7, 3: 123_456_789_012}):
        assert place_of(place_text(place)) == place
    for wrong in ("", "1", "1:", ":1", "1:2.", "1:2;3:4", "١:٢"):  # noqa: RUF001
        with pytest.raises(OffsetError):
            place_of(wrong)


def test_steps_between_two_places_take_each_offset_once() -> None:
    place, end = {1: 0, 2: 90, 3: 5}, {1: 1_000, 2: 100, 3: 5, 4: 50}
    place = {**dict.fromkeys(end, 0), **place}
    taken: dict[int, int] = dict.fromkeys(end, 0)
    while (step := next_step(place, end, 64)).size:
        assert step.size <= 64
        for each in step.low:
            assert step.low[each] == place[each]
            taken[each] += step.high[each] - step.low[each]
        place = step.place
    assert place == end
    assert taken == {1: 1_000, 2: 10, 3: 0, 4: 50}


def write_changes(warehouse: DatabaseEndpoint, change: str, numbers: Sequence[int]) -> None:
    """One round of segments by rule, as far as listeners see it."""
    with connect_database(warehouse) as connection:
        connection.execute(
            """insert into segmentation.membership_changes
                   (segment, customer_id, version, change, as_of)
               select 'heard', 'c-' || number, 1, %s, now() from unnest(%s::int[]) as number""",
            (change, list(numbers)),
        )


def test_who_enters_and_leaves_a_segment_is_heard_and_resumed(
    listen: Listen, warehouse: DatabaseEndpoint, keys: dict[Role, str]
) -> None:
    write_changes(warehouse, "entered", [1])
    listener = listen("topics=segment-membership")
    offset = listener.next(of="subscribed")["offset"]
    write_changes(warehouse, "entered", [2])
    write_changes(warehouse, "left", [1])
    heard = [(row["customer_id"], row["change"]) for row in listener.rows(2)]
    assert heard == [("c-2", "entered"), ("c-1", "left")]
    again = listen(f"topics=segment-membership&since={offset}", keys[Role.viewer])
    assert all(row["customer_id"].startswith(PREFIX) for row in again.rows(2))
    write_changes(warehouse, "entered", range(3, 1300))
    assert len({row["change_id"] for row in listener.rows(1297)}) == 1297


def test_changes_of_segments_that_are_too_many_are_told(
    listen: Listen, warehouse: DatabaseEndpoint
) -> None:
    first = listen("topics=segment-membership")
    offset = first.next(of="subscribed")["offset"]
    write_changes(warehouse, "entered", range(segment_membership.MOST_BEHIND + 1))
    assert first.next(of="rows")["skipped"] == segment_membership.MOST_BEHIND + 1
    listener = listen(f"topics=segment-membership&since={offset}")
    assert listener.next(of="error")["kind"] == "offset-too-old"
    for wrong in ("x", str(int(offset) + 10**9)):
        listener.say(op="subscribe", topic="segment-membership", since=wrong)
        assert listener.next(of="error")["kind"] == "not-an-offset"
