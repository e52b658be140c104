"""Customer ids for those who may not see them: a stable pseudonym.

The same customer has the same one everywhere, so that lists can be joined; it cannot be turned back
without the server's secret, and no route takes it.
"""

import base64
import hashlib
import hmac

PREFIX = "masked-"
_BYTES = 15


def mask(customer_id: str, key: bytes) -> str:
    """`masked-` and 24 letters and digits: 120 bits of a keyed hash."""
    digest = hmac.digest(key, customer_id.encode(), hashlib.sha256)[:_BYTES]
    return PREFIX + base64.b32encode(digest).decode().lower()
