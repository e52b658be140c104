"""The one secret of the server, from which every other one is derived.

It is generated once and kept in a file only its owner can read, or given as INSIGHT_API_SECRET, so
that several machines share it. Without it no stored key can be checked and none be guessed.
"""

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from insight.errors import ConfigurationError
from insight.services.endpoints import write_private

_SHORTEST = 32


@dataclass(frozen=True)
class ServerSecret:
    """Never shown: `derive` gives what is used."""

    _root: bytes = field(repr=False)

    def derive(self, purpose: str) -> bytes:
        """32 bytes for one purpose; they tell nothing about those of another."""
        return hmac.digest(self._root, purpose.encode(), hashlib.sha256)

    @property
    def secret_id(self) -> str:
        """Which secret a stored key was made under; it does not help to guess it."""
        return self.derive("id").hex()[:12]


def load_secret(home: Path, given: SecretStr | None = None) -> ServerSecret:
    """The secret that is given, or the one kept in `home`, made when there is none.

    Raises ConfigurationError when the given one is short, or the file damaged.
    """
    if given is not None:
        text, where = given.get_secret_value(), "INSIGHT_API_SECRET"
    else:
        path = home / "access.secret"
        text, where = _kept(path), str(path)
    if len(text) < _SHORTEST:
        raise ConfigurationError(
            f"has fewer than {_SHORTEST} characters",
            where=where,
            next_step="Make one with: python -c 'import secrets; print(secrets.token_urlsafe(48))'",
        )
    return ServerSecret(hashlib.sha256(text.encode()).digest())


def _kept(path: Path) -> str:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        candidate = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        write_private(candidate, secrets.token_urlsafe(48))
        try:
            # Of two processes that begin at once one wins, and both use its secret.
            os.link(candidate, path)
        except FileExistsError:
            pass
        finally:
            candidate.unlink()
    return path.read_text().strip()
