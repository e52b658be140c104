from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch import formats


@pytest.mark.parametrize("text", ["20190131", "1/31/2019", "01/31/2019", "2019-01-31"])
def test_a_day_is_read_in_three_forms(text: str) -> None:
    assert formats.day(text) is None
    assert formats.parse_day(text) == date(2019, 1, 31)


@pytest.mark.parametrize(
    "text",
    ["31/31/2019", "31/1/2019", "20190230", "2019-13-01", "1/31/19", "2019-1-31", "43496",
     "2019-01-31 00:00:00", "Jan 31", "٢٠١٩٠١٣١", "18990101", "21000101"],
)  # fmt: skip
def test_anything_else_is_not_a_day(text: str) -> None:
    assert formats.day(text) is not None


@pytest.mark.parametrize("text", ["19891231", "12/31/1989", "2099-01-01", "31/31/2019"])
def test_a_sale_is_neither_long_ago_nor_to_come(text: str) -> None:
    assert formats.sale_day(text) is not None
    assert formats.sale_day("19900101") is None


def test_a_sale_may_be_of_tomorrow() -> None:
    today = datetime.now(UTC).date()
    assert formats.sale_day((today + timedelta(1)).isoformat()) is None
    assert formats.sale_day((today + timedelta(3)).isoformat()) is not None


@pytest.mark.parametrize("text", ["1201", "999999999", "-1", "1.5", "x"])
def test_a_tenure_is_at_most_1200_months(text: str) -> None:
    assert formats.tenure_months(text) is not None
    assert formats.tenure_months("1200") is None


@given(st.dates(date(formats.FIRST_YEAR, 1, 1), date(formats.LAST_YEAR, 12, 31) - timedelta(1)))
def test_every_day_is_the_same_in_each_form(day: date) -> None:
    forms = (f"{day:%Y%m%d}", f"{day.month}/{day.day}/{day.year}", day.isoformat())
    assert [formats.parse_day(form) for form in forms] == [day] * 3


@pytest.mark.parametrize(
    ("text", "share"),
    [("18%", "0.18"), ("18 %", "0.18"), ("18", "0.18"), ("0.18", "0.18"), (".18", "0.18"),
     ("1", "0.01"), ("0.5%", "0.005"), ("100", "1"), ("0", "0"), ("12.5", "0.125")],
)  # fmt: skip
def test_a_percentage_is_read_in_three_forms(text: str, share: str) -> None:
    assert formats.percentage(text) is None
    assert formats.parse_percentage(text) == Decimal(share)


@pytest.mark.parametrize(
    "text", ["eighteen", "18 percent", "-5%", "101%", "101", "1e1", "%", "nan"]
)
def test_anything_else_is_not_a_percentage(text: str) -> None:
    assert formats.percentage(text) is not None


@pytest.mark.parametrize("text", ["Jan", "jan", "DECEMBER", "May", "1", "12", "09"])
def test_a_month_is_a_name_or_a_number(text: str) -> None:
    assert formats.month(text) is None


@pytest.mark.parametrize("text", ["0", "13", "Janu", "ja", "Foo", "012", "-1"])
def test_anything_else_is_not_a_month(text: str) -> None:
    assert formats.month(text) is not None


@pytest.mark.parametrize("text", ["abc", "0", "-1", "1.0", "1,000", "1e3", "1234567890", "²"])
def test_a_quantity_is_a_positive_whole_number(text: str) -> None:
    assert formats.positive_whole_number(text) is not None
    assert formats.positive_whole_number("52") is None


@pytest.mark.parametrize("text", ["abc", "-1", "1,000.5", "$5", "1e3", "inf", "5."])
def test_an_amount_has_neither_sign_nor_separators(text: str) -> None:
    assert formats.amount(text) is not None


def test_a_choice_counts_letter_case() -> None:
    check = formats.one_of("Used", "Not Used")
    assert check("Used") is None
    assert check("used") == "is not one of Used, Not Used"
