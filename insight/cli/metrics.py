"""The option of a role that says where its Prometheus metrics are served."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from prometheus_client.registry import Collector

from insight.settings import Settings
from streaming.metrics import serve_metrics

NO_METRICS = 0

MetricsPort = Annotated[
    int | None,
    typer.Option(
        "--metrics-port",
        min=0,
        max=65_535,
        help="Serve Prometheus metrics on this port; 0: none. Default: INSIGHT_METRICS_PORT.",
    ),
]


@contextmanager
def metrics_of(meter: Collector, settings: Settings, port: int | None) -> Iterator[None]:
    """Serve the meter for the length of the block, when a port is asked for.

    Raises ServiceError when the port is taken.
    """
    chosen = settings.metrics_port if port is None else port
    with serve_metrics(meter, chosen, settings.metrics_host):
        yield
