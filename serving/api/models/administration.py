"""Who asks, keys, the audit log, and how the server is."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
)

from serving.access.permissions import Permission, Role
from serving.api.models.parts import WHOLE, Answer, Moment, example

_KEY: dict[str, object] = {
    "key_id": "0f3a9c41d27b",
    "name": "dashboard",
    "role": "analyst",
    "requests_per_minute": None,
    "created_by": "cli:ada",
    "created_at": "2026-03-01T06:00:00Z",
    "expires_at": "2026-05-30T06:00:00Z",
    "revoked_at": None,
    "last_used_at": None,
    "state": "active",
}


class Me(Answer):
    """Who asks, and what they may do."""

    model_config = example(
        actor="key:0f3a9c41d27b", roles=["viewer"], permissions=["insights:read", "streams:read"]
    )

    actor: str = Field(description="As the audit log calls them.")
    roles: list[Role] = Field(description="Their roles.")
    permissions: list[Permission] = Field(description="What these allow.")


class Key(Answer):
    """A key without its secret part."""

    model_config = example(**_KEY)

    key_id: str = Field(description="Names the key; no secret.")
    name: str = Field(description="What it is for.")
    role: Role = Field(description="What it may do.")
    requests_per_minute: int | None = Field(description="Its own limit; null: the server's.")
    created_by: str = Field(description="Who made it.")
    created_at: Moment
    expires_at: Moment | None
    revoked_at: Moment | None
    last_used_at: datetime | None = Field(description="To the minute.")
    state: Literal["active", "expired", "revoked", "orphaned"] = Field(
        description="orphaned: made under a secret that this server does not have."
    )


class Keys(Answer):
    """All keys."""

    items: list[Key] = Field(description="Oldest first.")


class CreatedKey(Key):
    """A new key, with the one sight of the key itself."""

    model_config = example(
        **_KEY, key="insight_0f3a9c41d27b_" + 52 * "a" + "00000000"  # a form, not a key
    )  # fmt: skip

    key: str = Field(description="The key. It cannot be shown again.")


class KeyRequest(BaseModel):
    """A key to be made."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"name": "dashboard", "role": "analyst", "expires_in_days": 90}]
        },
    )

    name: Annotated[
        str, StringConstraints(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9 ._@:/-]+$")
    ] = Field(description="What it is for.")
    role: Role = Field(description="What it may do.")
    expires_in_days: Annotated[int, Field(strict=True, ge=1, le=3650), WHOLE] | None = Field(
        default=None, description="When it ends; null: never."
    )
    requests_per_minute: Annotated[int, Field(strict=True, ge=1, le=10_000_000), WHOLE] | None = (
        Field(default=None, description="Null: the server's limit.")
    )


class AuditRow(Answer):
    """One change."""

    model_config = example(
        seq=12,
        recorded_at="2026-03-01T06:00:00Z",
        actor="cli:ada",
        action="key.create",
        object="key:0f3a9c41d27b",
        detail={"role": "analyst"},
        request_id=None,
        client=None,
        hash="9f" * 32,
    )

    seq: int = Field(description="Counts up from 1 without a gap.")
    recorded_at: Moment
    actor: str = Field(description="Who did it.")
    action: str = Field(description="What was done.")
    object: str = Field(description="To what.")
    detail: dict[str, JsonValue] = Field(description="More about it.")
    request_id: str | None = Field(description="The request that did it; null: the command line.")
    client: str | None = Field(description="Address of who sent it.")
    hash: str = Field(description="Hash of the row and of the hash before it.")


class Health(Answer):
    """The process answers."""

    model_config = example(status="ok")

    status: Literal["ok"] = Field(description="Always ok.")


class Readiness(Answer):
    """What the server needs."""

    model_config = example(status="ready", postgres="up", redis="up")

    status: Literal["ready", "not ready"] = Field(description="ready: it can answer.")
    postgres: Literal["up", "down"] = Field(description="Without it nothing is answered.")
    redis: Literal["up", "down"] = Field(description="Without it answers come from Postgres.")


class Ticket(Answer):
    """Opens one WebSocket, once."""

    model_config = example(ticket="q83v...", expires_at="2026-03-01T12:00:30Z")

    ticket: str = Field(description="For the address: `/v1/ws?ticket=...`.")
    expires_at: Moment
