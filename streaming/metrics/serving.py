"""A role's metrics over HTTP."""

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
from prometheus_client.registry import Collector

from insight.errors import ServiceError


@contextmanager
def serve_metrics(meter: Collector, port: int, host: str = "127.0.0.1") -> Iterator[int]:
    """Serve a role's metrics on http://host:port/metrics for the length of the block.

    Yields the port. Port 0 is off: nothing is served. Memory and CPU of the process are added.
    Raises ServiceError when the port is taken.
    """
    if not port:
        yield 0
        return
    registry = CollectorRegistry()
    registry.register(meter)
    ProcessCollector(registry=registry)
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        raise ServiceError(
            f"metrics cannot be served ({error.strerror or error})",
            where=f"{host}:{port}",
            next_step="Choose another port with --metrics-port, 0 for none",
        ) from error
    try:
        yield port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
