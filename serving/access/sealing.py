"""Texts that leave the server and come back, or lie in the database, unread and unchanged.

AES-SIV: the same text seals to the same bytes, so that a page keeps its ETag.
"""

import base64
import binascii

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV


class Seal:
    """Seals under one key; `context` must be the same when it is opened."""

    def __init__(self, key: bytes):
        self._cipher = AESSIV(key)

    def seal(self, content: bytes, context: bytes) -> bytes:
        return self._cipher.encrypt(content, [context])

    def open(self, sealed: bytes, context: bytes) -> bytes | None:
        """None when it was changed, made under another key or for another context."""
        try:
            return self._cipher.decrypt(sealed, [context])
        except (InvalidTag, ValueError):
            return None

    def seal_text(self, content: bytes, context: bytes) -> str:
        """URL-safe."""
        return base64.urlsafe_b64encode(self.seal(content, context)).decode().rstrip("=")

    def open_text(self, text: str, context: bytes) -> bytes | None:
        try:
            sealed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        return self.open(sealed, context)
