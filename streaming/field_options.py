"""Which logicalTypeOptions a field can have, and what they can be."""

import re
from collections.abc import Callable
from datetime import datetime

_OPTIONS = {
    "string": {"pattern", "minLength", "maxLength"},
    "integer": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"},
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"},
    "boolean": set[str](),
    "timestamp": {"minimum", "maximum"},
}


def option_complaint(logical: str, name: str, value: object) -> str | None:
    """What is wrong with an option of a field of a logical type; None when nothing is."""
    if name not in _OPTIONS[logical]:
        return "is not supported"
    complaint = _value_complaint(logical, name, value)
    return None if complaint is None else f"{value!r} {complaint}"


def _value_complaint(logical: str, name: str, value: object) -> str | None:
    if name == "pattern":
        return _complaint(re.compile, value)
    if logical == "timestamp":
        return _complaint(_time_with_zone, value)
    if logical in ("integer", "number") and not isinstance(value, int | float):
        return "is not a number"
    if name.endswith("Length") and not isinstance(value, int):
        return "is not a whole number"
    return None


def _complaint(parse: Callable[[str], object], value: object) -> str | None:
    try:
        parse(str(value))
    except (ValueError, re.error) as error:
        return f"cannot be used ({error})"
    return None


def _time_with_zone(text: str) -> datetime:
    value = datetime.fromisoformat(text)
    if value.tzinfo is None:
        raise ValueError("has no time zone")
    return value
