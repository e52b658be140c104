"""One warehouse with filled marts for a module, and a server of the API upon it."""

import itertools
import os
from collections.abc import Callable, Iterator

import httpx
import pytest
from databases import create_database, drop_database
from running_api import SECRET, RunningApi, running_api
from served_marts import create_marts, fill_live_customers, fill_marts
from waiting import eventually

from insight.database import DatabaseEndpoint, connect
from insight.services import Services
from serving.access.database_roles import drop_roles, prepare_database
from serving.access.permissions import Role
from serving.api.options import ApiOptions

_numbers = itertools.count()


@pytest.fixture(scope="module")
def warehouse(services: Services) -> Iterator[DatabaseEndpoint]:
    """A database with all served marts, filled, as its owner."""
    name = f"test_api_{os.getpid()}_{next(_numbers)}"
    owner = create_database(services, name)
    create_marts(owner)
    fill_marts(owner)
    yield owner
    # A session ends a moment after its client has closed it.
    eventually(lambda: sessions_of_the_api(owner) == 0)
    drop_roles(owner)
    drop_database(services, name)


def sessions_of_the_api(owner: DatabaseEndpoint) -> int:
    with connect(owner) as connection:
        row = connection.execute(
            """select count(*) from pg_stat_activity
               where datname = current_database() and usename <> current_user"""
        ).fetchone()
    assert row is not None
    return int(str(row[0]))


@pytest.fixture(scope="module")
def options(services: Services, warehouse: DatabaseEndpoint) -> ApiOptions:
    roles = prepare_database(warehouse, SECRET)
    fill_live_customers(warehouse)
    return ApiOptions(
        database=roles,
        owner=warehouse,
        redis=services.redis,
        secret=SECRET,
        requests_per_minute=1_000_000,
        failures_per_minute=1_000_000,
        key_cache_seconds=0.2,
    )


@pytest.fixture(scope="module")
def api(warehouse: DatabaseEndpoint, options: ApiOptions) -> Iterator[RunningApi]:
    with running_api(warehouse, options) as running:
        yield running


@pytest.fixture(scope="module")
def clients(api: RunningApi) -> Iterator[Callable[[Role | None], httpx.Client]]:
    """A client of each role, and one without credentials."""
    made = {role: api.as_role(role) for role in Role}
    nobody = api.client(None)
    yield lambda role: nobody if role is None else made[role]
    for client in (*made.values(), nobody):
        client.close()


@pytest.fixture(scope="module")
def analyst(clients: Callable[[Role | None], httpx.Client]) -> httpx.Client:
    return clients(Role.analyst)


@pytest.fixture(scope="module")
def viewer(clients: Callable[[Role | None], httpx.Client]) -> httpx.Client:
    return clients(Role.viewer)


@pytest.fixture(scope="module")
def admin(clients: Callable[[Role | None], httpx.Client]) -> httpx.Client:
    return clients(Role.admin)
