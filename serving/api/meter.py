"""The metrics of the API, labelled by route template: a path with an id would be a series each."""

from collections.abc import Iterator

from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from streaming.metrics.series import Histogram, Series, counter, gauge

# Edges at what is promised: without one at 10 ms, a p99 of 10 ms could not be seen.
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OTHER = "other"


class ApiMeter(Collector):
    """What the API did. Called from its event loop."""

    def __init__(self) -> None:
        self._requests = Series()
        self._seconds: dict[str, Histogram] = {}
        self._refused = Series()
        self._sources = Series()
        self._socket_messages = Series()
        self._sockets_closed = Series()
        self._feed_failures = Series()
        self.in_flight = 0
        self.sockets = 0

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request by its route template and status, and how long it took."""
        method = method if method in _METHODS else _OTHER
        self._requests.add((method, route, str(status)), 1)
        self._seconds.setdefault(route, Histogram(_SECONDS)).observe(seconds)

    def refused(self, reason: str) -> None:
        """Count a request that was not let in."""
        self._refused.add((reason,), 1)

    def segment_read(self, source: str) -> None:
        """Count where a customer's segment, or segments by rule, were read."""
        self._sources.add((source,), 1)

    def socket_message(self, topic: str) -> None:
        """Count one message of a topic for one WebSocket."""
        self._socket_messages.add((topic,), 1)

    def socket_closed(self, code: int) -> None:
        """Count a WebSocket that ended, by its code."""
        self._sockets_closed.add((str(code),), 1)

    def feed_failed(self, topic: str) -> None:
        """Count a read of a topic that failed; the next one begins at the same place."""
        self._feed_failures.add((topic,), 1)

    def collect(self) -> Iterator[Metric]:
        yield counter(
            "api_requests",
            "Requests answered. Status 5xx rising: the log has the request ids.",
            ("method", "route", "status"),
            self._requests.items(),
        )
        family = HistogramMetricFamily(
            "insight_api_request_seconds",
            "Time of a request, head to answer's end. Rising: see in_flight, then Postgres.",
            labels=("route",),
        )
        for route, histogram in list(self._seconds.items()):
            family.add_metric((route,), histogram.cumulative(), histogram.total)
        yield family
        yield gauge(
            "api_in_flight",
            "Requests being answered. Near 512: the next ones are refused. Start another server.",
            (),
            [((), self.in_flight)],
        )
        yield counter(
            "api_refused",
            "Requests refused by reason. Credentials rising: somebody guesses. Look at the log.",
            ("reason",),
            self._refused.items(),
        )
        yield counter(
            "api_segment_reads",
            "Reads of one customer's segments. Postgres rising: Redis is away or unfilled.",
            ("source",),
            self._sources.items(),
        )
        yield gauge(
            "api_sockets",
            "Open WebSockets. Near 500: the next ones are refused. Start another server.",
            (),
            [((), self.sockets)],
        )
        yield counter(
            "api_socket_messages",
            "Messages put into the queues of WebSockets. Flat while rows are loaded: see failures.",
            ("topic",),
            self._socket_messages.items(),
        )
        yield counter(
            "api_sockets_closed",
            "WebSockets that ended. Code 4408 rising: clients read too slowly. Subscribe to less.",
            ("code",),
            self._sockets_closed.items(),
        )
        yield counter(
            "api_feed_failures",
            "Failed reads of a topic. Rising: Postgres is away. Nothing is lost.",
            ("topic",),
            self._feed_failures.items(),
        )
