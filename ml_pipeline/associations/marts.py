"""Reading the baskets of both shops from the marts."""

import io
from dataclasses import dataclass
from datetime import date

import pandas as pd
import psycopg
from psycopg import sql

from insight.database import Connection
from insight.errors import StageError


@dataclass(frozen=True)
class Shop:
    """Where a shop's baskets come from: queries with the columns that their names say.

    `lines` gives basket_id, product_id and day_on of each line, and takes the day before which
    they must lie; `names` gives product_id and product_name.
    """

    domain: str
    lines: str
    names: str


# Ids are joined so that no two baskets share one: the day has a fixed length, and the transaction
# says how long it is. An order is one of fct_orders: transaction, customer as it came, and day.
SHOPS = (
    Shop(
        "ecommerce",
        lines="""
            select
                length(transaction_id) || ':' || transaction_id || source_customer_id
                || transaction_date as basket_id,
                product_sku as product_id,
                transaction_date as day_on
            from marts.fct_sales
            where transaction_date < {before}
        """,
        names="select product_sku as product_id, product_name from marts.dim_products",
    ),
    # What a customer buys on a day, from whichever till. Its days are those of the simulated
    # stream: the as-of date is one of the online shop.
    Shop(
        "retail",
        lines="""
            select
                customer_id || date_day as basket_id,
                source_product_id as product_id,
                date_day as day_on
            from marts.fct_pos_transactions
        """,
        names="select product_id, product_name from marts.dim_pos_products",
    ),
)


@dataclass(frozen=True)
class Extent:
    """What tells the lines of a shop from others: a digest, and the days that they span."""

    digest: str
    first_on: date | None
    last_on: date | None


def read_extent(connection: Connection, shop: Shop, before: date | None) -> Extent:
    """Digest and days of a shop's lines and names, whatever their order, from one aggregate.

    Raises StageError when a mart does not exist.
    """
    query = sql.SQL("""
        select
            (select concat_ws(' ', count(*), sum(hashtextextended(product_name,
                hashtextextended(product_id, 0)))) from ({names}) as named),
            concat_ws(' ', count(*), sum(hashtextextended(product_id,
                hashtextextended(basket_id, 0)))),
            min(day_on),
            max(day_on)
        from ({lines}) as line
    """).format(names=sql.SQL(shop.names), lines=_lines(shop, before))
    try:
        row = connection.execute(query).fetchone()
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName) as error:
        raise StageError(
            "there are no baskets to look for associations in",
            where=f"marts of {shop.domain}",
            next_step="Run `insight transform` first",
        ) from error
    assert row is not None
    names, lines, first, last = row
    assert first is None or isinstance(first, date)
    assert last is None or isinstance(last, date)
    return Extent(f"{lines} {names}", first, last)


def read_lines(connection: Connection, shop: Shop, before: date | None) -> pd.DataFrame:
    """One row a line: basket_id and product_id, as text."""
    query = sql.SQL("copy (select basket_id, product_id from ({}) as line) to stdout (format csv)")
    received = io.BytesIO()
    with connection.cursor().copy(query.format(_lines(shop, before))) as copy:
        for block in copy:
            received.write(block)
    received.seek(0)
    # A product called "NA" or "007" is neither missing nor a number.
    return pd.read_csv(
        received, names=["basket_id", "product_id"], dtype=str, keep_default_na=False
    )


def read_names(connection: Connection, shop: Shop) -> dict[str, str]:
    """The names of the products that the warehouse knows."""
    rows = connection.execute(sql.SQL(shop.names)).fetchall()
    return {str(product): str(name) for product, name in rows}


def _lines(shop: Shop, before: date | None) -> sql.Composed:
    return sql.SQL(shop.lines).format(before=sql.Literal(before or "infinity") + sql.SQL("::date"))
