"""Lists in pages: the next page begins after the last row of this one, whatever was added since."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, TypeVar

import orjson
from fastapi import Query
from psycopg import sql
from pydantic import BaseModel, Field
from starlette.responses import Response

from serving.access.masking import mask
from serving.access.permissions import Permission, Principal
from serving.access.sealing import Seal
from serving.api.problems import InvalidPart, Problem, not_built
from serving.api.warehouse import BUILD_ALL, Row, Warehouse

Model = TypeVar("Model", bound=BaseModel)

Limit = Annotated[int, Query(ge=1, le=1000, description="Most rows of this page.", examples=[100])]
Cursor = Annotated[
    str | None,
    Query(
        max_length=2048,
        pattern="^[A-Za-z0-9_-]+$",
        description="`next_cursor` of the page before; with the same filters.",
    ),
]


class Page(BaseModel, Generic[Model]):
    """Some rows of a list, and where the next ones begin."""

    items: list[Model] = Field(description="The rows, in the list's order.")
    next_cursor: str | None = Field(
        description="Give it as `cursor` for the next page; null: last."
    )


@dataclass(frozen=True)
class Filter:
    """Rows whose column compares so with a value; a value of None filters nothing."""

    column: str
    operator: Literal["=", ">=", "<", "<=", "@>"]
    value: object


@dataclass(frozen=True)
class Listing(Generic[Model]):
    """A table as a list: its rows as `model`, in the order of `key`, which is unique."""

    schema: str
    table: str
    model: type[Model]
    key: tuple[str, ...]
    is_descending: bool = False
    build_with: str = BUILD_ALL
    # Instead of the table, when a list is more than its rows.
    relation: sql.Composable | None = None

    @property
    def name(self) -> str:
        return f"{self.schema}.{self.table}"


class Pager:
    """Reads pages. Cursors are sealed: they hold keys, which can be ids that are masked."""

    def __init__(self, warehouse: Warehouse, seal: Seal, mask_key: bytes):
        self._warehouse = warehouse
        self._seal = seal
        self._mask_key = mask_key

    async def page(
        self,
        listing: Listing[Model],
        principal: Principal,
        *,
        limit: int,
        cursor: str | None = None,
        filters: Sequence[Filter] = (),
        may_be_empty: bool = False,
    ) -> Response:
        """A page as an answer. 503 when the table holds nothing at all, unless it may be so."""
        used = [each for each in filters if each.value is not None]
        context = orjson.dumps([listing.name, [[f.column, f.operator, str(f.value)] for f in used]])
        after = self._opened(cursor, context, len(listing.key)) if cursor else None
        query, values = _query(listing, used, after, limit + 1)
        rows = await self._warehouse.rows(query, values, build_with=listing.build_with)
        if not rows and after is None and not may_be_empty:
            await self._expect_rows(listing)
        following = None
        if len(rows) > limit:
            rows = rows[:limit]
            key = [_plain(rows[-1][column]) for column in listing.key]
            following = self._seal.seal_text(orjson.dumps(key), context)
        items = [listing.model.model_validate(self.shown(row, principal)) for row in rows]
        page = Page[listing.model](items=items, next_cursor=following)  # type: ignore[name-defined]
        return json_answer(page)

    def shown(self, row: Row, principal: Principal) -> Row:
        """The row as the principal may see it."""
        if principal.may(Permission.customers_read) or "customer_id" not in row:
            return row
        return {**row, "customer_id": mask(row["customer_id"], self._mask_key)}

    def _opened(self, cursor: str, context: bytes, size: int) -> list[object]:
        content = self._seal.open_text(cursor, context)
        if content is None:
            detail = "The cursor is not one of this list with these filters."
            part = InvalidPart(where="query.cursor", message="not a cursor of this list")
            raise Problem(422, "invalid-request", detail, errors=[part])
        values: list[object] = orjson.loads(content)
        assert len(values) == size
        return values

    async def _expect_rows(self, listing: Listing[Model]) -> None:
        found = await self._warehouse.row(
            sql.SQL("select exists (select from {}) as is_filled").format(_table(listing))
        )
        if found is None or not found["is_filled"]:
            raise not_built(listing.name, listing.build_with)


def json_answer(
    content: BaseModel, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A model as JSON. Money and shares are decimal numbers in strings: none loses a cent."""
    return Response(
        content.model_dump_json().encode(),
        status_code=status,
        headers=dict(headers or {}),
        media_type="application/json",
    )


def _query(
    listing: Listing[Model], filters: Sequence[Filter], after: Sequence[object] | None, limit: int
) -> tuple[sql.Composed, list[object]]:
    """Every value is a parameter, every name one of the code's own."""
    conditions: list[sql.Composable] = []
    values: list[object] = []
    for each in filters:
        conditions.append(
            sql.SQL("{} {} %s").format(sql.Identifier(each.column), sql.SQL(each.operator))
        )
        values.append(each.value)
    key = sql.SQL(", ").join(map(sql.Identifier, listing.key))
    if after is not None:
        conditions.append(
            sql.SQL("({}) {} ({})").format(
                key,
                sql.SQL("<" if listing.is_descending else ">"),
                sql.SQL(", ").join([sql.Placeholder()] * len(after)),
            )
        )
        values.extend(after)
    direction = sql.SQL(" desc" if listing.is_descending else "")
    query = sql.SQL("select {} from {}{} order by {} limit %s").format(
        sql.SQL(", ").join(map(sql.Identifier, listing.model.model_fields)),
        _table(listing),
        sql.SQL(" where ") + sql.SQL(" and ").join(conditions) if conditions else sql.SQL(""),
        sql.SQL(", ").join(sql.Identifier(name) + direction for name in listing.key),
    )
    return query, [*values, limit]


def _table(listing: Listing[Any]) -> sql.Composable:
    return listing.relation or sql.Identifier(listing.schema, listing.table)


def _plain(value: object) -> object:
    """A key's value as JSON holds it and Postgres takes it back."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value
