"""What a topic of the WebSocket is: rows in an order of its own, and a text for a place in it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from serving.access.permissions import Permission
from serving.api.warehouse import Row


@dataclass(frozen=True)
class Batch:
    """Rows, and the place after them.

    `skipped` rows before them are not sent: there were more than a listener can take. `is_more`
    says that the next rows are there already.
    """

    rows: list[Row]
    offset: str
    skipped: int = 0
    is_more: bool = False


class OffsetError(Exception):
    """An offset from which nothing can be resumed; `kind` is a stable word for programs."""

    def __init__(self, kind: str, detail: str):
        super().__init__(detail)
        self.kind = kind
        self.detail = detail


def too_old(detail: str) -> OffsetError:
    """What came after the offset is no longer kept, or is more than is sent at once."""
    return OffsetError("offset-too-old", f"{detail} Read the list, then subscribe without since.")


def not_an_offset() -> OffsetError:
    """The offset is none of this topic, or lies ahead of it."""
    return OffsetError("not-an-offset", "This is not an offset of this topic.")


class Topic(Protocol):
    """Reads one kind of change. One object serves all listeners of a server.

    A new topic is a module with a class of this form, named in `TOPICS`.
    """

    name: str
    # Who listens needs it. Without customers:read a row's customer_id is masked.
    permission: Permission
    # Between two looks for new rows.
    seconds: float

    async def start(self) -> str:
        """The place at which listening begins: after everything that is there."""
        ...

    async def read(self, after: str) -> Batch:
        """What came since; without rows and at the same offset when nothing did."""
        ...

    def resume(self, since: str | None, until: str) -> AsyncIterator[Batch]:
        """What a new listener gets first: the rows from `since` to `until`.

        Raises OffsetError, before any rows, when they cannot be had.
        """
        ...
