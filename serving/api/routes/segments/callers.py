"""Whom the routes of segments by rule let in, and as whom they reach the warehouse."""

from enum import Enum
from typing import Annotated

from fastapi import Path
from starlette.requests import Request

from insight.database import DatabaseEndpoint
from serving.access.permissions import Permission, Principal
from serving.api.gate import Needs
from serving.api.state import serving_of

TAGS: list[str | Enum] = ["segments by rule"]

Reader = Annotated[Principal, Needs(Permission.segments_read)]
Writer = Annotated[Principal, Needs(Permission.segments_write)]
Activator = Annotated[Principal, Needs(Permission.segments_activate)]
Finder = Annotated[Principal, Needs(Permission.customers_read)]

Version = Annotated[int, Path(ge=1, le=2**31 - 1, description="A version's number.", examples=[1])]


def reader_of(request: Request) -> DatabaseEndpoint:
    """As the role that reads what is served."""
    return serving_of(request).options.database.reader


def owner_of(request: Request) -> DatabaseEndpoint:
    """As the owner of the warehouse: for raw rows and changes."""
    return serving_of(request).options.owner
