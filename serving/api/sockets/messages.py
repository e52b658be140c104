"""What goes over a WebSocket: JSON objects, each with a `type` from us, an `op` from a client."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum

import orjson

from serving.api.sockets.topic import Batch
from serving.api.warehouse import Row


class Closing(IntEnum):
    """Codes with which the server closes; 1009, 1011 and 1012 come from the protocol itself."""

    try_again_later = 1013
    bad_address = 4400
    not_admitted = 4401
    not_allowed = 4403
    too_slow = 4408
    too_many_messages = 4429


class NotAMessageError(Exception):
    """A client's text that asks for nothing we know; the sentence says why."""


@dataclass(frozen=True)
class Wish:
    """One message of a client."""

    op: str
    topic: str = ""
    since: str | None = None


_FIELDS = {
    "subscribe": {"op", "topic", "since"},
    "unsubscribe": {"op", "topic"},
    "ping": {"op"},
}
_LONGEST_TEXT = 2_000


def wish_of(text: str) -> Wish:
    """What a client asks for. Raises NotAMessageError."""
    try:
        content = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise NotAMessageError("A message is a JSON object.") from None
    if not isinstance(content, dict):
        raise NotAMessageError("A message is a JSON object.")
    known = _FIELDS.get(str(content.get("op")))
    if known is None:
        raise NotAMessageError("A message has an op: subscribe, unsubscribe or ping.")
    values = {name: value for name, value in content.items() if value is not None}
    if set(values) - known or not all(isinstance(value, str) for value in values.values()):
        raise NotAMessageError(f"This op takes texts: {', '.join(sorted(known))}.")
    if "topic" in known and "topic" not in values:
        raise NotAMessageError("This op needs a topic.")
    if any(len(value) > _LONGEST_TEXT for value in values.values()):
        raise NotAMessageError(f"A text has at most {_LONGEST_TEXT} characters.")
    return Wish(**values)


def rows_message(topic: str, batch: Batch, show: Callable[[Row], Row]) -> str:
    """Rows as somebody may see them, and the place after them."""
    return _text(
        {
            "type": "rows",
            "topic": topic,
            "offset": batch.offset,
            "skipped": batch.skipped,
            "rows": [show(row) for row in batch.rows],
        }
    )


def subscribed_message(topic: str, offset: str) -> str:
    return _text({"type": "subscribed", "topic": topic, "offset": offset})


def unsubscribed_message(topic: str) -> str:
    return _text({"type": "unsubscribed", "topic": topic})


def pong_message() -> str:
    return _text({"type": "pong"})


def topics_message(topics: Sequence[str]) -> str:
    return _text({"type": "topics", "topics": list(topics)})


def error_message(kind: str, detail: str, topic: str | None = None) -> str:
    named = {"topic": topic} if topic else {}
    return _text({"type": "error", "kind": kind, "detail": detail, **named})


def _text(content: dict[str, object]) -> str:
    return orjson.dumps(content, default=_plain, option=orjson.OPT_UTC_Z).decode()


def _plain(value: object) -> object:
    """Money and shares are texts here as in the answers: none loses a cent."""
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError
