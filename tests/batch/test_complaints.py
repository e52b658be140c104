"""Every complaint names the place, and leaves schema raw as it was."""

from collections.abc import Callable
from pathlib import Path

import pytest

from batch.loader import load_directory
from insight.database import DatabaseEndpoint
from insight.errors import InputError

Rows = Callable[[str], list[tuple[object, ...]]]
State = Callable[[], dict[str, list[tuple[object, ...]]]]


def edit(path: Path, old: str, new: str) -> None:
    content = path.read_bytes().decode()
    assert old in content
    path.write_bytes(content.replace(old, new, 1).encode())


def edited(name: str, old: str, new: str) -> Callable[[Path], None]:
    return lambda data: edit(data / name, old, new)


def replaced(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda data: (data / name).write_bytes(content) and None


def renamed(name: str, new_name: str) -> Callable[[Path], None]:
    return lambda data: (data / name).rename(data / new_name) and None


COMPLAINTS = {
    "file missing": (
        lambda data: (data / "Tax_amount.csv").unlink(),
        "no file for Tax_amount. Add Tax_amount.csv",
    ),
    "column missing": (
        edited("Tax_amount.csv", "GST", "Rate"),
        "Tax_amount.csv: has no column GST. Its first line must be Product_Category,GST",
    ),
    "wrong delimiter": (
        replaced("Tax_amount.csv", b"Product_Category;GST\r\nOffice;18%\r\n"),
        "Tax_amount.csv: is separated by semicolons (';'), not by commas",
    ),
    "empty file": (replaced("Tax_amount.csv", b""), "Tax_amount.csv: is empty"),
    "header only": (
        replaced("Tax_amount.csv", b"Product_Category,GST\r\n"),
        "Tax_amount.csv: has a header but no rows",
    ),
    "only blank rows": (
        replaced("Tax_amount.csv", b"Product_Category,GST\r\n\r\n,\r\n"),
        "Tax_amount.csv: has a header but no rows",
    ),
    "no such day": (
        edited("Marketing_Spend.csv", "1/31/2019", "31/31/2019"),
        "Marketing_Spend.csv:3: Date: '31/31/2019' is not a date such as 20190131, 1/31/2019"
        " (month first) or 2019-01-31 (1 of 2 rows are bad). Nothing is loaded; see the bad rows"
        " with: insight query \"select * from raw.rejected_rows where source = 'marketing_spend'\"",
    ),
    "quantity abc": (
        edited("Online_Sales.csv", "Office,52", "Office,abc"),
        "Online_Sales.csv:3: Quantity: 'abc' is not a positive whole number (1 of 4 rows are bad)",
    ),
    "unknown coupon status": (
        edited("Online_Sales.csv", "Not Used", "Maybe"),
        "Online_Sales.csv:3: Coupon_Status: 'Maybe' is not one of Used, Not Used, Clicked",
    ),
    "no value": (
        edited("Online_Sales.csv", "SKU2", " "),
        "Online_Sales.csv:3: Product_SKU: is empty",
    ),
    "field missing": (
        edited("CustomersData.csv", "13047,F,New York,43", "13047,F,New York"),
        "CustomersData.csv:3: has 3 fields, the header has 4",
    ),
    "field too many": (
        edited("CustomersData.csv", "13047,F,New York,43", "13047,F,New, York,43"),
        "CustomersData.csv:3: has 5 fields, the header has 4",
    ),
    "nul character": (
        edited("Tax_amount.csv", "Office", "Off\0ice"),
        "Tax_amount.csv:3: Product_Category: 'Off\\x00ice' holds a NUL character",
    ),
    "not a workbook": (
        renamed("Tax_amount.csv", "Tax_amount.xlsx"),
        "Tax_amount.xlsx: is not an Excel workbook (.xlsx)",
    ),
    "duplicate customer": (
        edited("CustomersData.csv", "13047", "17850"),
        "CustomersData.csv:3: customer_id '17850' stands on line 2 already",
    ),
    "tenure beyond dbt's bound": (
        replaced(
            "CustomersData.csv",
            b"CustomerID,Gender,Location,Tenure_Months\n17850,M,Chicago,1201\n",
        ),
        "CustomersData.csv:2: Tenure_Months: '1201' is more than 1,200 months",
    ),
    "sale before dbt's bound": (
        edited("Online_Sales.csv", "20190103", "19891231"),
        "Transaction_Date: '19891231' is not a date from 1990-01-01 to ",
    ),
    "one field": (
        replaced("Tax_amount.csv", b"Product_Category,GST\nOffice\n"),
        "Tax_amount.csv:2: has 1 field, the header has 2",
    ),
    "same day in two forms": (
        edited("Marketing_Spend.csv", "1/31/2019", "20190101"),
        "Marketing_Spend.csv:3: date '1/1/2019' stands on line 2 already",
    ),
    "same month in two forms": (
        edited("Discount_Coupon.csv", "Feb", "january"),
        "Discount_Coupon.csv:3: month 'Jan', product_category 'Nest-USA' stands on line 2 already",
    ),
    "same category in two forms": (
        replaced("Tax_amount.csv", b"Product_Category,GST\nA &amp; B,18%\nNest,5%\nA & B,10%\n"),
        "Tax_amount.csv:4: product_category 'A & B' stands on line 2 already",
    ),
    "same category": (
        edited("Tax_amount.csv", "Office", "Nest-USA"),
        "Tax_amount.csv:3: product_category 'Nest-USA' stands on line 2 already",
    ),
    "not utf-8": (
        replaced("Tax_amount.csv", b"Product_Category,GST\nCaf\xe9,5%\n"),
        "Tax_amount.csv:2: is not UTF-8 text",
    ),
    "quote without end": (
        edited("Tax_amount.csv", "Office", '"Office'),
        "Tax_amount.csv:3: is not valid CSV",
    ),
}


@pytest.mark.parametrize(("spoil", "message"), COMPLAINTS.values(), ids=COMPLAINTS.keys())
def test_a_bad_file_is_named_and_nothing_is_loaded(
    database: DatabaseEndpoint,
    data: Path,
    raw_state: State,
    spoil: Callable[[Path], None],
    message: str,
) -> None:
    load_directory(database, data)
    before = raw_state()
    # A good change in the first file must not come through either.
    edit(data / "CustomersData.csv", "Chicago", "Boston")
    spoil(data)
    with pytest.raises(InputError) as raised:
        load_directory(database, data)
    assert message in str(raised.value)
    assert str(data) in str(raised.value)
    assert "\n" not in str(raised.value)
    assert raw_state() == before


def test_lines_of_white_space_are_left_out(
    database: DatabaseEndpoint, data: Path, rows: Rows
) -> None:
    content = "Product_Category,GST\nOffice,18%\n \t\n ,  \nNest-USA,10%\n   "
    (data / "Tax_amount.csv").write_text(content)
    load_directory(database, data)
    assert rows("select _row from raw.tax_amount order by 1") == [(2,), (5,)]
    assert rows("select count(*) from raw.rejected_rows") == [(0,)]


def test_a_first_load_that_fails_leaves_the_tables_empty(
    database: DatabaseEndpoint, data: Path, raw_state: State
) -> None:
    edit(data / "Online_Sales.csv", "20190103", "31/31/2019")
    with pytest.raises(InputError):
        load_directory(database, data)
    assert not any(raw_state().values())


REJECTED = (
    "select source, _file, _row, column_name, reason, line from raw.rejected_rows order by 1, 3"
)


def test_rejected_rows_of_every_file_are_kept_when_the_load_fails(
    database: DatabaseEndpoint, data: Path, rows: Rows
) -> None:
    edit(data / "Online_Sales.csv", '"Pens, 7&quot; long",Office,52', '"Pens,\n7&quot;",Office,abc')
    edit(data / "Online_Sales.csv", ",Clicked\n", ",Clicked,more\n")
    edit(data / "Tax_amount.csv", "10%", "ten")
    with pytest.raises(InputError, match=r"Online_Sales\.csv:3: .*2 of 4 rows"):
        load_directory(database, data)
    assert rows(REJECTED) == [
        (
            "online_sales", "Online_Sales.csv", 3, "Quantity",
            "'abc' is not a positive whole number",
            '13047,16682,20190102,SKU2,"Pens,\n7&quot;",Office,abc,0.98,6.5,Not Used',
        ),
        (
            "online_sales", "Online_Sales.csv", 5, None, "has 11 fields, the header has 10",
            "12583,16682,20190102,SKU2,Other name,Office,31,1.5,6.5,Clicked,more",
        ),
        (
            "tax_amount", "Tax_amount.csv", 2, "GST",
            "'ten' is not a percentage such as 18%, 18 or 0.18", "Nest-USA,ten",
        ),
    ]  # fmt: skip


def test_a_second_failure_replaces_the_rejected_rows_of_the_first(
    database: DatabaseEndpoint, data: Path, rows: Rows
) -> None:
    edit(data / "Tax_amount.csv", "10%", "ten")
    for text in ("ten", "eleven"):
        edit(data / "Tax_amount.csv", "ten", text)
        with pytest.raises(InputError):
            load_directory(database, data)
    assert rows("select line from raw.rejected_rows") == [("Nest-USA,eleven",)]


def test_rejected_rows_below_the_share_are_kept_and_the_rest_is_loaded(
    database: DatabaseEndpoint, data: Path, rows: Rows
) -> None:
    edit(data / "Online_Sales.csv", "Office,52", "Office,abc")
    report = load_directory(database, data, max_rejected_share=0.25)
    assert [(s.rows, s.rejected) for s in report.sources if s.source == "online_sales"] == [(3, 1)]
    assert rows("select _row from raw.online_sales order by 1") == [(2,), (4,), (5,)]
    assert rows("select _row from raw.rejected_rows") == [(3,)]
    again = load_directory(database, data, max_rejected_share=0.25)
    assert all(source.unchanged for source in again.sources)
    assert sum(source.rejected for source in again.sources) == 1
    assert rows("select _row from raw.rejected_rows") == [(3,)]


def test_a_stricter_share_refuses_what_was_loaded_before(
    database: DatabaseEndpoint, data: Path, raw_state: State
) -> None:
    edit(data / "Online_Sales.csv", "Office,52", "Office,abc")
    load_directory(database, data, max_rejected_share=0.25)
    before = raw_state()
    with pytest.raises(InputError, match="1 of 4 rows are bad"):
        load_directory(database, data, max_rejected_share=0.24)
    assert raw_state() == before


def test_the_mended_file_clears_its_rejected_rows(
    database: DatabaseEndpoint, data: Path, rows: Rows
) -> None:
    load_directory(database, data)
    edit(data / "Tax_amount.csv", "10%", "ten")
    with pytest.raises(InputError):
        load_directory(database, data)
    edit(data / "Tax_amount.csv", "ten", "10%")
    assert all(source.unchanged for source in load_directory(database, data).sources)
    assert rows("select count(*) from raw.rejected_rows") == [(0,)]


def test_going_back_to_the_loaded_file_brings_its_rejected_rows_back(
    database: DatabaseEndpoint, data: Path, rows: Rows
) -> None:
    edit(data / "Online_Sales.csv", "Office,52", "Office,abc")
    load_directory(database, data, max_rejected_share=0.25)
    edit(data / "Online_Sales.csv", "SKU1", "")
    with pytest.raises(InputError, match="2 of 4 rows"):
        load_directory(database, data, max_rejected_share=0.25)
    assert rows("select _row from raw.rejected_rows order by 1") == [(2,), (3,)]
    edit(data / "Online_Sales.csv", "20190101,,", "20190101,SKU1,")
    load_directory(database, data, max_rejected_share=0.25)
    assert rows("select _row from raw.rejected_rows") == [(3,)]


def test_many_rejected_rows_are_all_kept(
    database: DatabaseEndpoint, data: Path, rows: Rows
) -> None:
    lines = "".join(f"{number},X,{'Boston' * 20},1\n" for number in range(30_000))
    (data / "CustomersData.csv").write_text("CustomerID,Gender,Location,Tenure_Months\n" + lines)
    with pytest.raises(InputError, match=r":2: Gender: 'X' .*30,000 of 30,000 rows"):
        load_directory(database, data)
    assert rows("select count(*), min(_row), max(_row) from raw.rejected_rows") == [
        (30_000, 2, 30_001)
    ]
