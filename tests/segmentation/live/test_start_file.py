"""The file that live segments start from: what it means, and what is wrong with a bad one."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from insight.errors import InputError
from segmentation.live.accounts import NEVER, RECENT
from segmentation.live.features import DAY, measures
from segmentation.live.sample_customers import sample_csv, write_sample
from segmentation.live.start_file import COLUMNS, read_start_file
from streaming.simulators.accounts import CUSTOMERS, account_id

_GOOD = {
    "customer_id": "A1",
    "income": "50000",
    "balance": "-12.34",
    "customer_lifetime_value": "99.99",
    "debt": "",
    "tenure": "12",
    "credit_default": "0",
    "days_from_last_transaction": "2.5",
    "avg_transaction_amt": "10.25",
    "num_transactions": "30",
    "digital_engagement_score": "55.5",
    "total_products_owned": "2",
    "transaction_freq": "15",
    "last_updated": "2019-12-02T00:00:00Z",
}


def _file(tmp_path: Path, *rows: dict[str, str], columns: tuple[str, ...] = COLUMNS) -> Path:
    path = tmp_path / "customers.csv"
    lines = [
        ",".join(columns),
        *(",".join(each.get(name, "") for name in columns) for each in rows),
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_figures_become_whole_numbers_and_movements_that_fit_them(tmp_path: Path) -> None:
    file = read_start_file(_file(tmp_path, _GOOD))
    accounts = file.accounts
    assert file.customers == ["A1"]
    assert accounts.balance.tolist() == [-1234]
    assert accounts.moved.tolist() == [30 * 1025]
    assert accounts.value.tolist() == [999_900]
    assert accounts.movements.tolist() == [30]
    assert file.as_of - accounts.last[0] == 2.5 * DAY
    assert accounts.recent_cents.tolist() == [[1025] * RECENT]
    assert set(np.diff(accounts.recent_at[0]).tolist()) == {-2 * DAY}
    amount, frequency, days = measures(accounts, np.array([0]), file.as_of)[0]
    assert (amount, days) == (10.25, 2.5)
    assert frequency == pytest.approx(15, rel=0.1)


def test_a_customer_without_movements_has_none(tmp_path: Path) -> None:
    row = _GOOD | {"num_transactions": "0", "avg_transaction_amt": "0", "transaction_freq": "0"}
    file = read_start_file(_file(tmp_path, row))
    assert (file.accounts.recent_at == NEVER).all()
    assert np.isfinite(measures(file.accounts, np.array([0]), file.as_of)).all()


def test_columns_come_in_any_order_case_and_number(tmp_path: Path) -> None:
    path = _file(tmp_path, _GOOD | {"segment": "High-Value"}, columns=("segment", *COLUMNS[::-1]))
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"balance", b" Balance "))
    assert read_start_file(path).accounts.balance.tolist() == [-1234]


def test_the_day_of_the_figures_can_be_given(tmp_path: Path) -> None:
    path = _file(tmp_path, _GOOD | {"last_updated": ""})
    with pytest.raises(InputError, match=r"customers\.csv: does not say when .*--as-of 2019-12-02"):
        read_start_file(path)
    assert read_start_file(path, datetime(1970, 1, 2, tzinfo=UTC).replace(year=2020)).as_of > 0


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"balance": "12,5"}, "has 15 values for 14 columns. Mend the commas"),
        ({"balance": "$12"}, "balance '$12' is not a number. Write it as 1234.56"),
        ({"balance": "nan"}, "balance 'nan' is not a number"),
        ({"avg_transaction_amt": "inf"}, "avg_transaction_amt 'inf' is not a number"),
        ({"avg_transaction_amt": "-1"}, "avg_transaction_amt -1 is below zero. Give 0 or more"),
        ({"balance": "1e13"}, "balance 1e13 is out of range. Give at most 1,000,000,000,000"),
        ({"balance": "1e999"}, "balance 1e999 is out of range"),
        ({"days_from_last_transaction": ""}, "days_from_last_transaction is empty. Give a number"),
        ({"num_transactions": "1.5"}, "num_transactions 1.5 is not a whole number. Round it"),
        ({"credit_default": "maybe"}, "credit_default 'maybe' is neither 0 nor 1"),
        ({"customer_id": ""}, "customer_id '' is not 1 to 64 characters"),
        ({"customer_id": "x" * 65}, "is not 1 to 64 characters"),
        ({"last_updated": "yesterday"}, "last_updated 'yesterday' is not a time. Write it as"),
        ({"customer_id": "A1"}, "customer A1 stands in line 2 already. Keep one row a customer"),
    ],
)
def test_a_bad_row_is_told_with_file_and_line(
    tmp_path: Path, changes: dict[str, str], complaint: str
) -> None:
    path = _file(tmp_path, _GOOD, _GOOD | {"customer_id": "A2"} | changes)
    with pytest.raises(InputError) as told:
        read_start_file(path)
    assert str(told.value).startswith(f"{path}, line 3: ")
    assert complaint in str(told.value)


def test_a_missing_or_doubled_column_is_named(tmp_path: Path) -> None:
    columns = tuple(each for each in COLUMNS if each not in ("balance", "transaction_freq"))
    with pytest.raises(InputError, match=r"line 1: has no column balance, transaction_freq"):
        read_start_file(_file(tmp_path, _GOOD, columns=columns))
    with pytest.raises(InputError, match=r"line 1: names column balance twice"):
        read_start_file(_file(tmp_path, _GOOD, columns=(*COLUMNS, "balance")))


def test_a_file_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing\.csv: cannot be read .*--start"):
        read_start_file(tmp_path / "nothing.csv")
    for content, complaint in (
        (b"", "holds no customer"),
        (",".join(COLUMNS).encode(), "holds no customer. Add rows below the header"),
        (b"customer_id\n\xff\xfe", "line 2: is not UTF-8 text"),
        (b'customer_id,"bal', "line 1: is not CSV"),
    ):
        path = tmp_path / "bad.csv"
        path.write_bytes(content)
        with pytest.raises(InputError, match=complaint):
            read_start_file(path)


def test_a_date_out_of_this_world_is_refused(tmp_path: Path) -> None:
    path = _file(tmp_path, _GOOD | {"last_updated": "0001-01-01"})
    with pytest.raises(InputError, match="is as of 1-01-01, which cannot be"):
        read_start_file(path)


def test_the_sample_holds_the_simulated_customers_and_is_the_same_each_time(tmp_path: Path) -> None:
    path = tmp_path / "made" / "customer_segments_full.csv"
    write_sample(path, 7)
    file = read_start_file(path)
    assert file.customers == [account_id(number + 1) for number in range(CUSTOMERS)]
    assert all(None not in each for each in file.profile)
    assert path.read_text() == sample_csv(7) != sample_csv(8)
    assert sample_csv(7, 1_000).startswith(sample_csv(7)), "more customers hold all of fewer"
