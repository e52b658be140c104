"""Prometheus metrics of the roles: what each one means, and what to do when it rises.

A role adds to plain numbers of its meter; they become metrics when somebody asks for them, so a
batch costs the role a few additions and no lock. Names carry the prefix `insight_`.
"""

from streaming.metrics.loader import LoaderMeter, Phase, bottleneck
from streaming.metrics.producer import ProducerMeter
from streaming.metrics.scheduler import SchedulerMeter
from streaming.metrics.serving import serve_metrics

__all__ = [
    "LoaderMeter",
    "Phase",
    "ProducerMeter",
    "SchedulerMeter",
    "bottleneck",
    "serve_metrics",
]
