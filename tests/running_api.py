"""An API server on a port of its own, in a thread, and clients of each role."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import httpx
from fastapi import APIRouter

from insight.database import DatabaseEndpoint, connect
from serving.access.keys import new_key, store_key
from serving.access.permissions import Role
from serving.access.server_secret import ServerSecret
from serving.api.app import create_server_app
from serving.api.meter import ApiMeter
from serving.api.options import ApiOptions
from serving.api.routes import ROUTERS
from serving.api.run import listen, serve
from serving.api.sockets.topics import topics_of
from serving.api.state import Topics

SECRET = ServerSecret(bytes(range(32)))


@dataclass(frozen=True)
class RunningApi:
    """Its address, and the warehouse behind it as its owner."""

    address: str
    owner: DatabaseEndpoint
    options: ApiOptions

    def key(
        self,
        role: Role,
        *,
        lifetime: timedelta | None = None,
        requests_per_minute: int | None = 1_000_000,
        secret: ServerSecret = SECRET,
    ) -> str:
        """A new key, stored as the command line does."""
        key = new_key(
            secret,
            role=role,
            name=f"test {role}",
            created_by="test",
            lifetime=lifetime,
            requests_per_minute=requests_per_minute,
        )
        with connect(self.owner) as connection:
            store_key(connection, key)
        return key.token

    def client(self, token: str | None) -> httpx.Client:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.address, headers=headers, timeout=20)

    def as_role(self, role: Role) -> httpx.Client:
        return self.client(self.key(role))


@contextmanager
def running_api(
    owner: DatabaseEndpoint,
    options: ApiOptions,
    routers: Sequence[APIRouter] = ROUTERS,
    topics: Topics = topics_of,
) -> Iterator[RunningApi]:
    """Serve until the end of the block; then the server must end by itself."""
    listening = listen("127.0.0.1", 0)
    address = f"http://127.0.0.1:{listening.getsockname()[1]}"
    stop, ready = threading.Event(), threading.Event()
    app = create_server_app(options, ApiMeter(), routers, topics)
    thread = threading.Thread(
        target=serve, args=(app, listening, stop, lambda _: ready.set()), daemon=True
    )
    thread.start()
    assert ready.wait(30)
    try:
        yield RunningApi(address, owner, options)
    finally:
        stop.set()
        thread.join(30)
        listening.close()
    assert not thread.is_alive()
