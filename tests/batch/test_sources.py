from pathlib import Path

import pytest

from batch.header import column_positions
from batch.sources import SOURCES, find_files
from insight.errors import InputError


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("customers", "CustomersData.csv"),
        ("customers", "Customers_Data.xlsx"),
        ("customers", "customers.CSV"),
        ("customers", "CUSTOMERSDATA.XLSX"),
        ("online_sales", "Online_Sales.csv"),
        ("online_sales", "OnlineSales.csv"),
        ("online_sales", "online_sales_head.csv"),
        ("online_sales", "Online_Sales (2).csv"),
        ("marketing_spend", "marketing spend.csv"),
        ("discount_coupon", "Discount_Coupons.csv"),
        ("tax_amount", "TaxAmount.xlsx"),
    ],
)
def test_published_names_are_accepted_in_any_spelling(source: str, name: str) -> None:
    assert [each.name for each in SOURCES if each.accepts(Path(name))] == [source]


@pytest.mark.parametrize("name", ["Online_Sales.txt", "MyCustomers.csv", "notes.csv", "sales.csv"])
def test_other_names_are_not_accepted(name: str) -> None:
    assert not [source for source in SOURCES if source.accepts(Path(name))]


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent: the data directory does not exist"):
        find_files(tmp_path / "absent")


def test_a_file_in_place_of_the_directory_is_named(data: Path) -> None:
    with pytest.raises(InputError, match=r"Tax_amount\.csv: the data directory is not a directory"):
        find_files(data / "Tax_amount.csv")


def test_all_missing_files_are_named(data: Path) -> None:
    (data / "Tax_amount.csv").unlink()
    (data / "CustomersData.csv").unlink()
    with pytest.raises(InputError, match="no file for CustomersData, Tax_amount"):
        find_files(data)


def test_two_files_for_one_source_are_both_named(data: Path) -> None:
    (data / "online_sales_head.CSV").write_text("")
    with pytest.raises(
        InputError, match=r"Online_Sales\.csv and online_sales_head\.CSV both hold online_sales"
    ):
        find_files(data)


def test_hidden_files_and_excel_locks_do_not_count(data: Path) -> None:
    (data / "~$CustomersData.xlsx").write_text("")
    (data / ".customers.csv").write_text("")
    assert find_files(data)[SOURCES[0]].name == "CustomersData.csv"


def test_header_case_spaces_and_underscores_do_not_matter() -> None:
    header = ["Tenure months", "LOCATION", "customer_id", "gender ", "Remark"]
    assert column_positions(SOURCES[0], header, Path("x.csv")) == [2, 3, 1, 0]


def test_extra_columns_are_ignored_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    column_positions(SOURCES[4], ["Product_Category", "GST", "Remark"], Path("x.csv"))
    assert "columns ignored: 'Remark'" in caplog.text


def test_missing_columns_are_named_with_the_file() -> None:
    with pytest.raises(InputError, match=r"x\.csv: has no column Gender, Tenure_Months"):
        column_positions(SOURCES[0], ["CustomerID", "Location"], Path("x.csv"))


def test_a_column_that_is_there_twice_is_refused() -> None:
    with pytest.raises(InputError, match="has the column GST twice"):
        column_positions(SOURCES[4], ["Product_Category", "GST", "gst"], Path("x.csv"))
