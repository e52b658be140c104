"""Where an answer about one customer came from: Redis, or Postgres in its place."""

from typing import Any

_HEADER = "X-Source"

FROM_REDIS = {_HEADER: "redis"}
FROM_POSTGRES = {_HEADER: "postgres"}

# Of the OpenAPI.
SOURCE_IS_TOLD: dict[int | str, dict[str, Any]] = {
    200: {
        "headers": {
            _HEADER: {
                "description": "redis, or postgres when Redis is away or lacks the customer.",
                "schema": {"type": "string", "enum": ["redis", "postgres"]},
                "required": True,
            }
        }
    }
}
