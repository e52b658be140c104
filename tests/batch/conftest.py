"""Five small files in the published formats, and what schema raw holds."""

from collections.abc import Callable
from pathlib import Path

import pytest
from psycopg import sql

from batch.sources import SOURCES
from insight.database import DatabaseEndpoint, connect

SALES_HEADER = (
    "CustomerID,Transaction_ID,Transaction_Date,Product_SKU,Product_Description,Product_Category,"
    "Quantity,Avg_Price,Delivery_Charges,Coupon_Status\n"
)
FILES = {
    "CustomersData.csv": "CustomerID,Gender,Location,Tenure_Months\r\n"
    "17850,M,Chicago,12\r\n13047,F,New York,43\r\n12583,F,California,33\r\n",
    "Online_Sales.csv": SALES_HEADER
    + "17850,16679,20190101,SKU1,Thermostat - Steel,Nest-USA,1,153.71,6.5,Used\n"
    + '13047,16682,20190102,SKU2,"Pens, 7&quot; long",Office,52,0.98,6.5,Not Used\n'
    + "12583,16682,20190102,SKU2,Other name,Office,31,1.5,6.5,Clicked\n"
    + "12583,16699,20190103,SKU1,Thermostat - Steel,Nest-USA,2,256.88,12,Clicked\n",
    "Marketing_Spend.csv": "Date,Offline_Spend,Online_Spend\r\n"
    "1/1/2019,4500,2424.5\r\n1/31/2019,4500,3480.36\r\n",
    "Discount_Coupon.csv": "Month,Product_Category,Coupon_Code,Discount_pct\r\n"
    "Jan,Nest-USA,ELEC10,10\r\nFeb,Nest-USA,ELEC20,20\r\nJan,Office,OFF10,10\r\n",
    "Tax_amount.csv": "Product_Category,GST\r\nNest-USA,10%\r\nOffice,18%\r\n",
}

RawState = dict[str, list[tuple[object, ...]]]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A directory with the five files."""
    directory = tmp_path / "data with spaces"
    directory.mkdir()
    for name, content in FILES.items():
        (directory / name).write_bytes(content.encode())
    return directory


@pytest.fixture
def rows(database: DatabaseEndpoint) -> Callable[[str], list[tuple[object, ...]]]:
    """The rows of a query."""

    def fetch(query: str) -> list[tuple[object, ...]]:
        with connect(database) as connection:
            return connection.execute(query.encode()).fetchall()

    return fetch


@pytest.fixture
def raw_state(database: DatabaseEndpoint) -> Callable[[], RawState]:
    """All rows of the source tables and of raw.loaded_files, with the time they were loaded."""

    def fetch() -> RawState:
        with connect(database) as connection:
            return {
                name: connection.execute(
                    sql.SQL("select * from {} as t order by t::text").format(
                        sql.Identifier("raw", name)
                    )
                ).fetchall()
                for name in [*(source.name for source in SOURCES), "loaded_files"]
            }

    return fetch
