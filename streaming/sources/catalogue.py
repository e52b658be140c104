"""Finds what a contract names as its source: module `streaming.sources.<name>`.

The module has an `API` that is polled, or a `SIMULATION` of the contract's stream.
"""

import importlib

from insight.errors import InputError
from streaming.contract import Contract
from streaming.sources.http_poller import PolledApi
from streaming.sources.simulated import Simulation


def origin_of(contract: Contract) -> PolledApi | Simulation:
    """Raises InputError when the contract names no source or one that cannot give its stream."""
    if contract.source is None:
        raise InputError("names no source to produce from", where=str(contract.file))
    try:
        module = importlib.import_module(f"streaming.sources.{contract.source}")
    except ModuleNotFoundError as error:
        raise InputError(
            f"source {contract.source!r} has no module in streaming/sources",
            where=str(contract.file),
        ) from error
    origin = getattr(module, "API", None) or getattr(module, "SIMULATION", None)
    if isinstance(origin, PolledApi):
        return origin
    if not isinstance(origin, Simulation):
        raise InputError(
            f"source {contract.source!r} is neither an API nor a simulation",
            where=str(contract.file),
        )
    if contract.stream not in origin.streams:
        known = ", ".join(origin.streams)
        raise InputError(
            f"source {contract.source!r} has no stream {contract.stream!r}",
            where=str(contract.file),
            next_step=f"It has {known}",
        )
    return origin
