"""Customer ids for those who may not see them: a stable pseudonym.

The same customer has the same one everywhere, so that lists can be joined; it cannot be turned back
without the server's secret, and no route takes it.
"""

import base64
import hashlib
import hmac
from typing import cast

PREFIX = "masked-"
_BYTES = 15


def mask(customer_id: str, key: bytes) -> str:
    """`masked-` and 24 letters and digits: 120 bits of a keyed hash."""
    digest = hmac.digest(key, customer_id.encode(), hashlib.sha256)[:_BYTES]
    return PREFIX + base64.b32encode(digest).decode().lower()


# What holds ids in the documents of rules, and what is a hash of the object that it stands in.
_CUSTOMERS = "customers"
_HASHES = ("sha", "spec_sha")


def mask_customers(document: dict[str, object], key: bytes) -> dict[str, object]:
    """A document about a rule in which each id under `customers` is masked, however deep.

    So are hashes of what holds ids: who guesses an id could make the hash, and compare.
    """
    return cast(dict[str, object], _masked(document, key))


def _masked(part: object, key: bytes) -> object:
    if isinstance(part, list):
        return [_masked(each, key) for each in part]
    if not isinstance(part, dict):
        return part
    found = {
        name: [mask(str(each), key) for each in value]
        if name == _CUSTOMERS and isinstance(value, list)
        else _masked(value, key)
        for name, value in part.items()
    }
    if found != part:
        hashes = {name: _masked_hash(part[name], key) for name in _HASHES if name in part}
        return found | hashes
    return found


def _masked_hash(value: object, key: bytes) -> str:
    """Another hash of the same form: equal where the hashed are."""
    return hmac.digest(key, f"hash {value}".encode(), hashlib.sha256).hex()
