import csv
from collections.abc import Callable
from datetime import date
from pathlib import Path

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batch.loader import LoadReport, load_directory
from insight.database import DatabaseEndpoint

Rows = Callable[[str], list[tuple[object, ...]]]
State = Callable[[], dict[str, list[tuple[object, ...]]]]


def counts(report: LoadReport) -> dict[str, int]:
    return {source.source: source.rows for source in report.sources}


def unchanged(report: LoadReport) -> list[str]:
    return [source.source for source in report.sources if source.unchanged]


def edit(path: Path, old: str, new: str) -> None:
    content = path.read_bytes().decode()
    assert old in content
    path.write_bytes(content.replace(old, new).encode())


def test_five_files_land_as_text_with_file_and_line(
    database: DatabaseEndpoint, data: Path, rows: Rows
) -> None:
    report = load_directory(database, data)
    assert counts(report) == {
        "customers": 3, "online_sales": 4, "marketing_spend": 2, "discount_coupon": 3,
        "tax_amount": 2,
    }  # fmt: skip
    assert report.unknown_customer_sales == 0
    assert rows("select * from raw.online_sales where _row = 3")[0][:12] == (
        "13047", "16682", "20190102", "SKU2", "Pens, 7&quot; long", "Office", "52", "0.98", "6.5",
        "Not Used", "Online_Sales.csv", 3,
    )  # fmt: skip
    assert rows("select date, _row from raw.marketing_spend order by _row") == [
        ("1/1/2019", 2),
        ("1/31/2019", 3),
    ]
    recorded = "select rows, rejected, generated from raw.loaded_files where source = 'tax_amount'"
    assert rows(recorded) == [(2, 0, False)]


def test_the_same_files_again_change_nothing(
    database: DatabaseEndpoint, data: Path, raw_state: State
) -> None:
    first = load_directory(database, data)
    before = raw_state()
    second = load_directory(database, data)
    assert raw_state() == before
    assert len(unchanged(second)) == 5
    assert counts(second) == counts(first)


def test_a_changed_file_replaces_only_its_own_rows(
    database: DatabaseEndpoint, data: Path, raw_state: State, rows: Rows
) -> None:
    load_directory(database, data)
    before = raw_state()
    edit(data / "Tax_amount.csv", "Office,18%", "Toys,5%\r\nBags,0.18")
    report = load_directory(database, data)
    after = raw_state()
    assert unchanged(report) == ["customers", "online_sales", "marketing_spend", "discount_coupon"]
    assert {name for name in before if before[name] != after[name]} == {
        "tax_amount",
        "loaded_files",
    }
    assert rows("select product_category, gst from raw.tax_amount order by _row") == [
        ("Nest-USA", "10%"),
        ("Toys", "5%"),
        ("Bags", "0.18"),
    ]


def test_a_renamed_file_is_loaded_again_under_its_new_name(
    database: DatabaseEndpoint, data: Path, rows: Rows
) -> None:
    load_directory(database, data)
    (data / "Tax_amount.csv").rename(data / "tax_amounts.csv")
    assert "tax_amount" not in unchanged(load_directory(database, data))
    assert rows("select distinct _file from raw.tax_amount") == [("tax_amounts.csv",)]


def test_a_table_emptied_by_hand_is_loaded_again(
    database: DatabaseEndpoint, data: Path, rows: Rows
) -> None:
    load_directory(database, data)
    rows("with gone as (delete from raw.customers returning 1) select * from gone")
    assert "customers" not in unchanged(load_directory(database, data))
    assert rows("select count(*) from raw.customers") == [(3,)]


def test_a_row_changed_by_hand_stays_while_its_file_does(
    database: DatabaseEndpoint, data: Path, rows: Rows
) -> None:
    load_directory(database, data)
    rows("with moved as (update raw.customers set location = 'Boston' returning 1) table moved")
    load_directory(database, data)
    assert rows("select distinct location from raw.customers") == [("Boston",)]


def test_generated_is_recorded_even_when_the_bytes_are_known(
    database: DatabaseEndpoint, data: Path, rows: Rows
) -> None:
    load_directory(database, data, generated=True)
    assert rows("select distinct generated from raw.loaded_files") == [(True,)]
    load_directory(database, data)
    assert rows("select distinct generated from raw.loaded_files") == [(False,)]


def test_sales_of_unknown_customers_are_kept_and_counted(
    database: DatabaseEndpoint, data: Path, rows: Rows
) -> None:
    edit(data / "CustomersData.csv", "12583,F,California,33\r\n", "")
    report = load_directory(database, data)
    assert report.unknown_customer_sales == 2
    assert counts(report)["online_sales"] == 4
    assert load_directory(database, data).unknown_customer_sales == 2


def test_mark_line_ends_and_white_space_make_no_difference(
    database: DatabaseEndpoint, data: Path, rows: Rows
) -> None:
    load_directory(database, data)
    query = "select customer_id, gender, location, tenure_months from raw.customers order by _row"
    plain = rows(query)
    content = (data / "CustomersData.csv").read_bytes()
    padded = content.replace(b"\r\n", b"\n").replace(b",", b" , ").replace(b"\n", b"\n\n")
    (data / "CustomersData.csv").write_bytes(b"\xef\xbb\xbf" + padded)
    load_directory(database, data)
    assert rows(query) == plain
    assert rows("select _row from raw.customers order by 1") == [(3,), (5,), (7,)]


def test_a_suffix_and_any_letter_case_in_names_are_accepted(
    database: DatabaseEndpoint, data: Path, rows: Rows
) -> None:
    (data / "Online_Sales.csv").rename(data / "online_sales_head.CSV")
    (data / "CustomersData.csv").rename(data / "Customers_Data.csv")
    assert counts(load_directory(database, data))["online_sales"] == 4
    assert rows("select distinct _file from raw.online_sales") == [("online_sales_head.CSV",)]


def test_a_workbook_gives_the_rows_that_the_csv_file_gives(
    database: DatabaseEndpoint, data: Path, rows: Rows
) -> None:
    queries = [
        "select date, offline_spend, online_spend, _row from raw.marketing_spend order by _row",
        "select product_category, gst, _row from raw.tax_amount order by _row",
        "select transaction_date, quantity, avg_price from raw.online_sales order by _row",
    ]
    load_directory(database, data)
    from_csv = [rows(query) for query in queries]
    for name in ("Marketing_Spend", "Tax_amount", "Online_Sales"):
        as_workbook(data / f"{name}.csv")
    report = load_directory(database, data)
    assert unchanged(report) == ["customers", "discount_coupon"]
    assert [rows(query) for query in queries] == from_csv


def as_workbook(path: Path) -> None:
    """Replace a CSV file by a workbook with real dates, numbers and percentages."""
    workbook = openpyxl.Workbook()
    with open(path, newline="") as file:
        for row in csv.reader(file):
            workbook.active.append([cell(value) for value in row])
    for row in workbook.active.iter_rows():
        for each in row:
            if each.value in (0.1, 0.18):
                each.number_format = "0%"
    workbook.save(path.with_suffix(".xlsx"))
    path.unlink()


def cell(text: str) -> object:
    if text.count("/") == 2:
        month, day, year = map(int, text.split("/"))
        return date(year, month, day)
    if text.endswith("%"):
        return int(text[:-1]) / 100
    try:
        return float(text)
    except ValueError:
        return text


def test_progress_names_each_source_with_its_rows(database: DatabaseEndpoint, data: Path) -> None:
    told: list[tuple[str, int]] = []
    load_directory(database, data, on_progress=lambda source, rows: told.append((source, rows)))
    assert told == [
        ("customers", 3),
        ("online_sales", 4),
        ("marketing_spend", 2),
        ("discount_coupon", 3),
        ("tax_amount", 2),
    ]


STORABLE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(STORABLE | st.text(st.sampled_from(list('\\\t\n\r",N.'))), min_size=1, max_size=60))
def test_any_text_reaches_the_database_as_it_is(
    database: DatabaseEndpoint, data: Path, rows: Rows, texts: list[str]
) -> None:
    with open(data / "Tax_amount.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(["Product_Category", "GST"])
        writer.writerows([f"{number} {text}", "5%"] for number, text in enumerate(texts))
    load_directory(database, data)
    assert rows("select product_category from raw.tax_amount order by _row") == [
        (f"{number} {text}".strip(),) for number, text in enumerate(texts)
    ]


@pytest.mark.parametrize("share", ["18%", "18", "0.18"])
def test_percentages_are_accepted_in_three_forms(
    database: DatabaseEndpoint, data: Path, rows: Rows, share: str
) -> None:
    edit(data / "Tax_amount.csv", "18%", share)
    load_directory(database, data)
    assert rows("select gst from raw.tax_amount where product_category = 'Office'") == [(share,)]
