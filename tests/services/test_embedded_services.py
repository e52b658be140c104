"""The embedded services: they start by themselves, are shared, and never stay behind."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import redis
from confluent_kafka import Consumer, Producer
from pydantic import SecretStr
from waiting import eventually

from insight.database import DatabaseEndpoint, connect
from insight.errors import ServiceError
from insight.services import keep_running, running_endpoints, stop
from insight.services.account import fallback_folder
from insight.services.lease import lease
from insight.services.state import StateDirectory, held_leases, new_lease

NewHome = Callable[..., Path]

_HOLD = """
import sys, time
from pathlib import Path
from insight.services.lease import lease
from insight.services.state import StateDirectory, held_leases, new_lease
with lease(Path(sys.argv[1])) as endpoints:
    print(endpoints.database.port, flush=True)
    time.sleep(600)
"""


@contextmanager
def lease_of_another_process(home: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(home)], stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def is_stopped(home: Path) -> bool:
    return running_endpoints(home) is None


def answers(endpoint: DatabaseEndpoint) -> bool:
    try:
        with connect(endpoint) as connection:
            return connection.execute("select 1").fetchone() == (1,)
    except (ServiceError, psycopg.OperationalError):
        return False


def test_all_three_answer_and_stop_with_the_last_lease(new_home: NewHome) -> None:
    home = new_home()
    with lease(home) as endpoints:
        with connect(endpoints.database) as connection:
            version = connection.execute("show server_version_num").fetchone()
        assert version is not None
        assert str(version[0]) >= "180000"
        client = redis.Redis.from_url(endpoints.redis.url.get_secret_value())
        assert client.ping()
        client.close()
        producer = Producer({"bootstrap.servers": endpoints.kafka.bootstrap_servers})
        producer.produce("greetings", b"hello", partition=0)
        assert producer.flush(20) == 0
        consumer = Consumer(
            {"bootstrap.servers": endpoints.kafka.bootstrap_servers, "group.id": "test"}
        )
        assert consumer.list_topics("greetings", timeout=10).topics["greetings"].partitions
        consumer.close()
    eventually(lambda: is_stopped(home))
    eventually(lambda: not answers(endpoints.database))


def test_postgres_answers_on_its_socket_and_wants_the_password(new_home: NewHome) -> None:
    home = new_home()
    with lease(home) as endpoints:
        database = endpoints.database
        folder = (home / "postgres.socket").read_text()
        over_socket = DatabaseEndpoint(
            folder, database.port, database.user, database.password, database.dbname
        )
        assert answers(over_socket)
        for host in (database.host, folder):
            wrong = DatabaseEndpoint(
                host, database.port, database.user, SecretStr("guess"), database.dbname
            )
            with pytest.raises(ServiceError, match="password authentication failed"):
                answers_or_raise(wrong)


def answers_or_raise(endpoint: DatabaseEndpoint) -> None:
    with connect(endpoint):
        pass


def test_the_project_role_is_no_superuser(new_home: NewHome) -> None:
    with lease(new_home()) as endpoints, connect(endpoints.database) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("copy (select 1) to program 'true'")


def test_secrets_are_readable_by_their_owner_only(new_home: NewHome) -> None:
    home = new_home()
    with lease(home):
        for name in ("run/endpoints.json", "postgres.passwords"):
            assert (home / name).stat().st_mode & 0o077 == 0


def test_two_commands_share_one_server(new_home: NewHome) -> None:
    home = new_home()
    with lease_of_another_process(home) as first, lease_of_another_process(home) as second:
        assert first.stdout is not None
        assert second.stdout is not None
        ports = {first.stdout.readline(), second.stdout.readline()}
        assert len(ports) == 1
        assert ports != {""}
        first.kill()
        first.wait()
        time.sleep(1)
        with lease(home) as endpoints:
            assert {f"{endpoints.database.port}\n"} == ports


def test_services_stop_when_the_only_command_is_killed(new_home: NewHome) -> None:
    home = new_home()
    with lease_of_another_process(home) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline()
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        eventually(lambda: is_stopped(home))


def test_a_killed_keeper_blocks_nothing_and_loses_no_row(new_home: NewHome) -> None:
    home = new_home()
    with lease(home) as endpoints:
        with connect(endpoints.database) as connection:
            connection.execute("create table kept as select 42 as answer")
        os.kill(endpoints.keeper_pid, signal.SIGKILL)
        eventually(lambda: is_stopped(home))
        with lease(home) as again, connect(again.database) as connection:
            assert again.keeper_pid != endpoints.keeper_pid
            assert again.kafka.cluster_id != endpoints.kafka.cluster_id
            assert connection.execute("select answer from kept").fetchone() == (42,)


def test_a_killed_postgres_is_started_again_on_its_port(new_home: NewHome) -> None:
    home = new_home()
    with lease(home) as endpoints:
        pid_file = next(home.glob("postgres/postmaster.pid"), None)
        folder = home if pid_file else fallback_folder(home)
        pid = int((folder / "postgres" / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: not answers(endpoints.database))
        eventually(lambda: answers(endpoints.database))


def test_a_killed_redis_is_started_again_at_its_address(new_home: NewHome) -> None:
    with lease(new_home()) as endpoints:
        client = redis.Redis.from_url(endpoints.redis.url.get_secret_value())
        with client:
            os.kill(int(client.info("server")["process_id"]), signal.SIGKILL)
            eventually(lambda: redis_answers(client))


def redis_answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def test_start_keeps_the_services_until_stop(new_home: NewHome) -> None:
    home = new_home()
    endpoints = keep_running(home)
    time.sleep(1)
    assert answers(endpoints.database)
    with lease(home):
        assert stop(home) == 1
        assert answers(endpoints.database)
    eventually(lambda: is_stopped(home))


@pytest.mark.parametrize("name", ["with some spaces", "x" * 150])
def test_any_path_will_do(new_home: NewHome, name: str) -> None:
    with lease(new_home(name)) as endpoints:
        assert answers(endpoints.database)


def test_a_home_that_only_we_may_enter_will_do_and_keeps_its_mode(new_home: NewHome) -> None:
    home = new_home()
    home.mkdir(mode=0o700)
    with lease(home) as endpoints:
        assert answers(endpoints.database)
    assert home.stat().st_mode & 0o777 == 0o700
    stop(home, now=True)
    assert answers_again_with_its_data(home)


def answers_again_with_its_data(home: Path) -> bool:
    with lease(home) as endpoints:
        return answers(endpoints.database)


def test_the_usual_ports_may_be_taken(new_home: NewHome) -> None:
    taken = []
    for port in (5432, 9092, 6379):
        listener = socket.socket()
        try:
            listener.bind(("127.0.0.1", port))
            listener.listen()
        except OSError:
            pass  # somebody else has it: just as taken
        taken.append(listener)
    with lease(new_home()) as endpoints:
        assert answers(endpoints.database)
    for listener in taken:
        listener.close()


def test_a_start_that_fails_says_why(new_home: NewHome) -> None:
    home = new_home()
    with lease(home):
        pass
    stop(home)
    (home / "postgres" / "PG_VERSION").unlink()
    with pytest.raises(ServiceError, match="Postgres does not start"), lease(home):
        pass


def test_lost_passwords_are_named_with_the_way_out(new_home: NewHome) -> None:
    home = new_home()
    with lease(home):
        pass
    stop(home)
    (home / "postgres.passwords").unlink()
    with pytest.raises(ServiceError, match="insight reset"), lease(home):
        pass


def test_a_lease_is_never_taken_for_that_of_a_dead_command(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path)
    state.create()
    over = threading.Event()

    def keep_counting() -> None:
        while not over.is_set():
            held_leases(state)

    counting = [threading.Thread(target=keep_counting) for _ in range(2)]
    for thread in counting:
        thread.start()
    held = [new_lease(state) for _ in range(300)]
    over.set()
    for thread in counting:
        thread.join()
    assert held_leases(state) == len(held)
    for lock in held:
        lock.close()
    assert held_leases(state) == 0


def test_reset_deletes_only_what_the_project_keeps_there(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path)
    state.create()
    (tmp_path / "data").mkdir()
    (tmp_path / "my_thesis.txt").write_text("years of work")
    state.remove()
    assert [path.name for path in tmp_path.iterdir()] == ["my_thesis.txt"]


def test_reset_removes_a_home_with_nothing_else_in_it(new_home: NewHome) -> None:
    home = new_home()
    with lease(home):
        pass
    stop(home)
    StateDirectory(home).remove()
    assert not home.exists()


def test_no_log_holds_a_password_however_often_it_starts(new_home: NewHome) -> None:
    home = new_home()
    for _ in range(2):
        with lease(home):
            pass
        stop(home)
    secrets = (home / "postgres.passwords").read_text().split("\n")
    for log in (home / "log").iterdir():
        text = log.read_text()
        assert not [secret for secret in secrets if secret in text], log


@pytest.mark.parametrize("name", ["postgres.port", "run/endpoints.json"])
def test_a_damaged_note_of_an_earlier_start_is_ignored(new_home: NewHome, name: str) -> None:
    home = new_home()
    with lease(home):
        pass
    stop(home)
    for damage in ("", "garbage", "99999"):
        (home / name).write_text(damage)
        with lease(home) as endpoints:
            assert answers(endpoints.database)
        stop(home)


def test_a_home_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.write_text("a file")
    with pytest.raises(ServiceError, match="INSIGHT_HOME"), lease(home):
        pass


def test_when_one_service_cannot_start_the_others_do_not_stay(new_home: NewHome) -> None:
    home = new_home()
    with lease(home):
        pass
    stop(home)
    shutil.rmtree(home / "redis")
    (home / "redis").write_text("no room for a folder")
    with pytest.raises(ServiceError, match="do not start"), lease(home):
        pass
    assert not list(home.glob("postgres/postmaster.pid"))
