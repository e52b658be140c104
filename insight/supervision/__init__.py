"""Child processes kept running under one supervisor, their output merged into one log."""

from insight.supervision.back_off import BackOff
from insight.supervision.merged_log import MergedLog
from insight.supervision.signals import StopRequest, stop_requested_by_signal
from insight.supervision.supervisor import Role, Supervisor

__all__ = [
    "BackOff",
    "MergedLog",
    "Role",
    "StopRequest",
    "Supervisor",
    "stop_requested_by_signal",
]
