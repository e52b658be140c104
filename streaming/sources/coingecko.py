"""CoinGecko's simple/price: the present price of a coin, its change over a day, and its time."""

from datetime import UTC, datetime
from decimal import Decimal

import msgspec

from streaming.sources.http_poller import BadBody, Parsed, PolledApi
from streaming.sources.interface import Cursor, Event, event_id, lies_ahead

_COIN = "bitcoin"
_CURRENCY = "usd"

_encode = msgspec.json.Encoder(decimal_format="number").encode


def _parameters(_position: Cursor | None) -> dict[str, str]:
    return {
        "ids": _COIN,
        "vs_currencies": _CURRENCY,
        "include_24hr_change": "true",
        "include_last_updated_at": "true",
    }


def _parse(body: object, position: Cursor | None, source: str) -> Parsed:
    """One event for a price that is newer than the last one."""
    quote = body.get(_COIN) if isinstance(body, dict) else None
    if not isinstance(quote, dict):
        raise BadBody(f"it has no {_COIN}")
    price, updated_at = quote.get(_CURRENCY), quote.get("last_updated_at")
    if not _is_number(price) or type(updated_at) is not int or not 0 < updated_at < 2**32:
        raise BadBody("it has no price or no time")
    if lies_ahead(datetime.fromtimestamp(updated_at, UTC)):
        raise BadBody("its time lies in the future")
    if position and updated_at <= position["last_updated_at"]:
        return Parsed([], position)
    event = _event(source, price, quote.get(f"{_CURRENCY}_24h_change"), updated_at)
    return Parsed([event], {"last_updated_at": updated_at})


def _newest(position: Cursor) -> datetime:
    return datetime.fromtimestamp(position["last_updated_at"], UTC)


def _event(source: str, price: object, change: object, updated_at: int) -> Event:
    key = f"{_COIN}/{_CURRENCY}"
    value = {
        "id": event_id(source, key, str(updated_at)),
        "source": source,
        "coin": _COIN,
        "currency": _CURRENCY,
        "price": price,
        "change_24h": change if _is_number(change) else None,
        "event_timestamp": datetime.fromtimestamp(updated_at, UTC),
    }
    return Event(key, _encode(value))


def _is_number(value: object) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


API = PolledApi(
    name="coingecko",
    path="/api/v3/simple/price",
    key_header="x-cg-demo-api-key",
    key_required=False,
    parameters=_parameters,
    parse=_parse,
    newest=_newest,
)
