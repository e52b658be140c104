"""The default data: a deterministic year of a web shop in the five published files."""

import csv
import fcntl
import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from random import Random

from batch.catalogue import build_catalogue
from batch.categories import CATEGORIES, COUPON_ONLY_CATEGORY
from batch.orders import SALE_LINES, build_orders, money, sale_lines
from batch.shoppers import YEAR_DAYS, Shopper, build_shoppers
from insight.errors import InputError

GENERATOR_VERSION = 1
MARKER = ".generated.json"
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
OFFLINE_SPEND = (500, 700, 1000, 1500, 2000, 2500, 3000, 3500, 4000, 4500, 5000)
OFFLINE_DAYS = (7, 7, 14, 14, 42, 70, 91, 63, 36, 14, 7)


def generate(directory: Path, *, seed: int = 2019, scale: int = 1) -> None:
    """Write the five files into `directory`, all or nothing.

    The same seed and scale give the same bytes. `scale` multiplies customers and sale lines. A
    directory that already holds them is left alone, one with other generated data is replaced.
    Raises InputError when the directory holds anything else or the scale is below 1.
    """
    if scale < 1:
        raise InputError(f"a scale of {scale} makes no data", next_step="Use 1 or more")
    wanted = {"seed": seed, "scale": scale, "generator": GENERATOR_VERSION}
    with _exclusive(directory):
        if _marker(directory) == wanted:
            return
        _refuse_foreign_files(directory)
        partial = _removed(directory.with_name(f".{directory.name}.partial"))
        partial.mkdir()
        _write_files(partial, seed, scale)
        (partial / MARKER).write_text(json.dumps(wanted))
        _put_in_place(partial, directory)


@contextmanager
def _exclusive(directory: Path) -> Iterator[None]:
    """Two runs at once take turns; the lock goes with the process that held it."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    with open(directory.with_name(f".{directory.name}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _marker(directory: Path) -> object:
    try:
        return json.loads((directory / MARKER).read_text())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None


def _refuse_foreign_files(directory: Path) -> None:
    if directory.exists() and not (directory / MARKER).exists() and any(directory.iterdir()):
        raise InputError(
            "holds files that the generator did not write",
            where=str(directory),
            next_step="Choose an empty or new directory",
        )


def _removed(directory: Path) -> Path:
    """A killed run may have left this directory behind."""
    if directory.exists():
        shutil.rmtree(directory)
    return directory


def _put_in_place(complete: Path, directory: Path) -> None:
    """A kill in between leaves the old directory, none or the new one, never half of one."""
    former = _removed(directory.with_name(f".{directory.name}.former"))
    if directory.exists():
        directory.rename(former)
    complete.rename(directory)
    _removed(former)


def _write_files(directory: Path, seed: int, scale: int) -> None:
    # A stream of random numbers for each part: a change in one leaves the others as they were.
    shoppers = build_shoppers(Random(f"{seed} shoppers"), scale)
    catalogue = build_catalogue(Random(f"{seed} catalogue"))
    orders = build_orders(Random(f"{seed} orders"), shoppers, SALE_LINES * scale)
    _write(
        directory / "CustomersData.csv",
        ("CustomerID", "Gender", "Location", "Tenure_Months"),
        map(_customer_row, shoppers),
    )
    _write(
        directory / "Online_Sales.csv",
        ("CustomerID", "Transaction_ID", "Transaction_Date", "Product_SKU", "Product_Description",
         "Product_Category", "Quantity", "Avg_Price", "Delivery_Charges", "Coupon_Status"),
        sale_lines(Random(f"{seed} lines"), orders, catalogue),
        line_end="\n",
    )  # fmt: skip
    _write(
        directory / "Marketing_Spend.csv",
        ("Date", "Offline_Spend", "Online_Spend"),
        _spend_rows(Random(f"{seed} spend")),
    )
    _write(
        directory / "Discount_Coupon.csv",
        ("Month", "Product_Category", "Coupon_Code", "Discount_pct"),
        _coupon_rows(),
    )
    _write(directory / "Tax_amount.csv", ("Product_Category", "GST"), _tax_rows())


def _write(
    path: Path, header: Sequence[str], rows: Iterable[Sequence[str]], *, line_end: str = "\r\n"
) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator=line_end)
        writer.writerow(header)
        writer.writerows(rows)


def _customer_row(shopper: Shopper) -> tuple[str, ...]:
    return (shopper.customer_id, shopper.gender, shopper.location, str(shopper.tenure_months))


def _spend_rows(rng: Random) -> Iterator[tuple[str, ...]]:
    for offset in range(YEAR_DAYS):
        day = date(2019, 1, 1) + timedelta(offset)
        offline = rng.choices(OFFLINE_SPEND, OFFLINE_DAYS)[0]
        online = min(455_700, max(32_000, round(rng.gauss(190_000, 80_000))))
        yield f"{day.month}/{day.day}/{day.year}", str(offline), money(online)


def _coupon_rows() -> Iterator[tuple[str, ...]]:
    stems = [(category.name, category.coupon_stem) for category in CATEGORIES]
    for name, stem in [*stems, COUPON_ONLY_CATEGORY]:
        if stem is None:
            continue
        for number, month in enumerate(MONTHS):
            percent = 10 * (number % 3 + 1)
            yield month, name, f"{stem}{percent}", str(percent)


def _tax_rows() -> Iterator[tuple[str, ...]]:
    return ((category.name, category.gst) for category in CATEGORIES)
