"""Finds the API that a contract names: module `streaming.sources.<name>`, its `API`."""

import importlib

from insight.errors import InputError
from streaming.contract import Contract
from streaming.sources.http_poller import PolledApi


def polled_api(contract: Contract) -> PolledApi:
    """Raises InputError when the contract names no source or one that does not exist."""
    if contract.source is None:
        raise InputError("names no source to produce from", where=str(contract.file))
    try:
        module = importlib.import_module(f"streaming.sources.{contract.source}")
    except ModuleNotFoundError as error:
        raise InputError(
            f"source {contract.source!r} has no module in streaming/sources",
            where=str(contract.file),
        ) from error
    api = getattr(module, "API", None)
    if not isinstance(api, PolledApi):
        raise InputError(f"source {contract.source!r} is no API", where=str(contract.file))
    return api
