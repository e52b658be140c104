"""The five batch sources: which files hold them, their columns, formats and keys."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from batch import formats
from batch.entities import decoded_key
from batch.formats import Check
from insight.errors import InputError

FILE_ENDINGS = (".csv", ".xlsx")


@dataclass(frozen=True)
class Column:
    """One column: its published header, its name in schema raw and its format.

    Every column is required. `key_sql` is how values compare in a key, so that `1/1/2019` and
    `20190101` are the same day; {0} stands for the column.
    """

    header: str
    name: str
    check: Check
    key_sql: str = "{0}"


@dataclass(frozen=True)
class Source:
    """One file of the published data and the table raw.<name> that takes it.

    `file_pattern` matches the file's name without ending, in any letter case; a suffix such as
    `_head` may follow. `key` names the columns that no two rows may share (none: no key).
    """

    name: str
    published_file: str
    file_pattern: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()

    @cached_property
    def column_names(self) -> tuple[str, ...]:
        """The columns in schema raw, in the published order."""
        return tuple(column.name for column in self.columns)

    def accepts(self, path: Path) -> bool:
        """Whether the file's name says that it holds this source."""
        if path.suffix.lower() not in FILE_ENDINGS:
            return False
        pattern = rf"(?:{self.file_pattern})(?:[ _.(-].*)?"
        return re.fullmatch(pattern, path.stem, re.IGNORECASE) is not None


DAY_KEY = (
    "case when {0} ~ '^[0-9]{{8}}$' then to_date({0}, 'YYYYMMDD')"
    " when {0} like '%/%' then to_date({0}, 'MM/DD/YYYY')"
    " else to_date({0}, 'YYYY-MM-DD') end"
)
MONTH_KEY = (
    "case when {0} ~ '^[0-9]+$' then to_char(to_date({0}, 'MM'), 'mon')"
    " else lower(left({0}, 3)) end"
)
CATEGORY_KEY = decoded_key()

SOURCES = (
    Source(
        name="customers",
        published_file="CustomersData",
        file_pattern=r"customers?(?:[ _-]?data)?",
        columns=(
            Column("CustomerID", "customer_id", formats.identifier),
            Column("Gender", "gender", formats.one_of("F", "M")),
            Column("Location", "location", formats.text),
            Column("Tenure_Months", "tenure_months", formats.tenure_months),
        ),
        key=("customer_id",),
    ),
    Source(
        name="online_sales",
        published_file="Online_Sales",
        file_pattern=r"online[ _-]?sales?",
        columns=(
            Column("CustomerID", "customer_id", formats.identifier),
            Column("Transaction_ID", "transaction_id", formats.text),
            Column("Transaction_Date", "transaction_date", formats.sale_day),
            Column("Product_SKU", "product_sku", formats.text),
            Column("Product_Description", "product_description", formats.text),
            Column("Product_Category", "product_category", formats.text),
            Column("Quantity", "quantity", formats.positive_whole_number),
            Column("Avg_Price", "avg_price", formats.amount),
            Column("Delivery_Charges", "delivery_charges", formats.amount),
            Column("Coupon_Status", "coupon_status", formats.one_of("Used", "Not Used", "Clicked")),
        ),
    ),
    Source(
        name="marketing_spend",
        published_file="Marketing_Spend",
        file_pattern=r"marketing[ _-]?spend",
        columns=(
            Column("Date", "date", formats.day, DAY_KEY),
            Column("Offline_Spend", "offline_spend", formats.amount),
            Column("Online_Spend", "online_spend", formats.amount),
        ),
        key=("date",),
    ),
    Source(
        name="discount_coupon",
        published_file="Discount_Coupon",
        file_pattern=r"discount[ _-]?coupons?",
        columns=(
            Column("Month", "month", formats.month, MONTH_KEY),
            Column("Product_Category", "product_category", formats.text, CATEGORY_KEY),
            Column("Coupon_Code", "coupon_code", formats.text),
            Column("Discount_pct", "discount_pct", formats.percentage),
        ),
        key=("month", "product_category"),
    ),
    Source(
        name="tax_amount",
        published_file="Tax_amount",
        file_pattern=r"tax[ _-]?amounts?",
        columns=(
            Column("Product_Category", "product_category", formats.text, CATEGORY_KEY),
            Column("GST", "gst", formats.percentage),
        ),
        key=("product_category",),
    ),
)


def find_files(directory: Path) -> Mapping[Source, Path]:
    """The file of each source, in the order of SOURCES.

    Raises InputError when the directory or a file is missing, or two files hold one source.
    """
    if not directory.is_dir():
        problem = "is not a directory" if directory.exists() else "does not exist"
        raise InputError(
            f"the data directory {problem}",
            where=str(directory),
            next_step="Give the directory that holds the five files",
        )
    files = _visible_files(directory)
    candidates = {source: [p for p in files if source.accepts(p)] for source in SOURCES}
    _refuse_missing(directory, candidates)
    _refuse_ambiguous(candidates)
    return {source: paths[0] for source, paths in candidates.items()}


def _visible_files(directory: Path) -> list[Path]:
    try:
        # Excel keeps "~$name.xlsx" beside a workbook that is open.
        return sorted(p for p in directory.iterdir() if p.is_file() and p.name[0] not in ".~")
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", where=str(directory)) from error


def _refuse_missing(directory: Path, candidates: Mapping[Source, list[Path]]) -> None:
    missing = [source.published_file for source, paths in candidates.items() if not paths]
    if missing:
        raise InputError(
            f"no file for {', '.join(missing)}",
            where=str(directory),
            next_step=f"Add {', '.join(f'{name}.csv' for name in missing)} (or .xlsx)",
        )


def _refuse_ambiguous(candidates: Mapping[Source, list[Path]]) -> None:
    for source, paths in candidates.items():
        if len(paths) > 1:
            raise InputError(
                f"{' and '.join(path.name for path in paths)} both hold {source.name}",
                where=str(paths[0].parent),
                next_step="Keep one of them",
            )
