"""API keys: shown once, stored as an HMAC under the server's secret.

A key reads `insight_<id>_<secret><checksum>`: the id finds its row; by the checksum a typing error
and a guess are refused without the database, and a scanner recognises a leaked key.
"""

import base64
import hashlib
import hmac
import re
import secrets
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from insight.database import Connection
from insight.errors import InputError
from serving.access.permissions import Role
from serving.access.server_secret import ServerSecret

_FORM = re.compile(r"insight_([0-9a-f]{12})_([a-z2-7]{52})([0-9a-f]{8})", re.ASCII)
_LONGEST_NAME = 100
_LONGEST_LIFE = timedelta(days=3650)

COLUMNS = (
    "key_id, name, role, requests_per_minute, created_by, created_at, expires_at, revoked_at,"
    " last_used_at, secret_id"
)
INSERT = f"""insert into access.api_keys
                 (key_id, name, role, digest, secret_id, requests_per_minute, created_by,
                  expires_at)
             values (%(key_id)s, %(name)s, %(role)s, %(digest)s, %(secret_id)s,
                     %(requests_per_minute)s, %(created_by)s, %(expires_at)s)
             returning {COLUMNS}"""  # noqa: S608 (constants)
SELECT_ALL = f"select {COLUMNS} from access.api_keys order by created_at, key_id"  # noqa: S608
# Servers listen here: what they remember of the key counts no more.
REVOKED_CHANNEL = "insight_revoked_keys"
REVOKE = f"""with revoked as (
                 update access.api_keys set revoked_at = now()
                 where key_id = %s and revoked_at is null returning {COLUMNS}
             ),
             told as (select key_id, pg_notify('{REVOKED_CHANNEL}', key_id) from revoked)
             select {COLUMNS} from revoked inner join told using (key_id)"""  # noqa: S608


@dataclass(frozen=True)
class ApiKey:
    """What is known of a key once it was shown."""

    key_id: str
    name: str
    role: str
    requests_per_minute: int | None
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    secret_id: str

    def state(self, secret_id: str, now: datetime | None = None) -> str:
        """active, revoked, expired, or orphaned: made under a secret that is not the server's."""
        if self.revoked_at is not None:
            return "revoked"
        if self.expires_at is not None and self.expires_at <= (now or datetime.now(UTC)):
            return "expired"
        return "active" if self.secret_id == secret_id else "orphaned"


@dataclass(frozen=True)
class NewKey:
    """A key that nobody has seen yet: `token` goes to its owner, `values` into the table."""

    token: str = field(repr=False)
    key_id: str
    values: dict[str, object] = field(repr=False)


@dataclass(frozen=True)
class PresentedKey:
    """A key of the right form, as somebody sent it; not yet checked."""

    key_id: str
    token: str = field(repr=False)


def new_key(
    secret: ServerSecret,
    *,
    role: Role,
    name: str,
    created_by: str,
    lifetime: timedelta | None = None,
    requests_per_minute: int | None = None,
) -> NewKey:
    """A random key of 256 bits. Raises InputError for a name, lifetime or rate that cannot be."""
    if not 1 <= len(name) <= _LONGEST_NAME or not name.isprintable():
        raise InputError(f"a key's name has 1 to {_LONGEST_NAME} printable characters")
    if lifetime is not None and not timedelta(0) < lifetime <= _LONGEST_LIFE:
        raise InputError("a key lives for more than nothing and at most ten years")
    if requests_per_minute is not None and not 1 <= requests_per_minute <= 10_000_000:
        raise InputError("a key's rate is 1 to 10,000,000 requests a minute")
    key_id = secrets.token_hex(6)
    body = base64.b32encode(secrets.token_bytes(32)).decode().rstrip("=").lower()
    token = f"insight_{key_id}_{body}{_checksum(key_id, body)}"
    values: dict[str, object] = {
        "key_id": key_id,
        "name": name,
        "role": role.value,
        "digest": key_digest(secret, token),
        "secret_id": secret.secret_id,
        "requests_per_minute": requests_per_minute,
        "created_by": created_by,
        "expires_at": None if lifetime is None else datetime.now(UTC) + lifetime,
    }
    return NewKey(token, key_id, values)


def parse_key(token: str) -> PresentedKey | None:
    """None when it is not of the form of a key, or its checksum is wrong."""
    found = _FORM.fullmatch(token)
    if found is None or _checksum(found[1], found[2]) != found[3]:
        return None
    return PresentedKey(found[1], token)


def key_digest(secret: ServerSecret, token: str) -> bytes:
    """What is stored of a key."""
    return hmac.digest(secret.derive("api keys"), token.encode(), hashlib.sha256)


def lifetime_of(text: str) -> timedelta:
    """`90d`, `12h` or `30m` as a time. Raises InputError for anything else."""
    found = re.fullmatch(r"(\d{1,5})([dhm])", text, re.ASCII)
    if found is None:
        raise InputError(f"{text!r} is not a lifetime", next_step="Write it as 90d, 12h or 30m")
    unit = {"d": "days", "h": "hours", "m": "minutes"}[found[2]]
    return timedelta(**{unit: int(found[1])})


def store_key(connection: Connection, key: NewKey) -> ApiKey:
    row = connection.execute(INSERT, key.values).fetchone()
    assert row is not None
    return api_key(row)


def list_keys(connection: Connection) -> list[ApiKey]:
    """All keys that were ever made, oldest first."""
    return [api_key(row) for row in connection.execute(SELECT_ALL)]


def revoke_key(connection: Connection, key_id: str) -> ApiKey:
    """End a key at once. Raises InputError when there is none of that id that could be used."""
    row = connection.execute(REVOKE, (key_id,)).fetchone()
    if row is None:
        raise InputError(
            "no such key, or it is revoked already",
            where=key_id,
            next_step="Run: insight keys list",
        )
    return api_key(row)


def api_key(row: Sequence[object]) -> ApiKey:
    """A row of COLUMNS."""
    return ApiKey(*row)  # type: ignore[arg-type]


def _checksum(key_id: str, body: str) -> str:
    return f"{zlib.crc32(f'{key_id}{body}'.encode()):08x}"
