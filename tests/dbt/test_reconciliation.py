"""fct_sales against a computation of its own: from the raw text, in Decimal, line by line."""

from decimal import ROUND_HALF_UP, Decimal

from insight.database import Connection, DatabaseEndpoint, connect

_MONTHS = {
    name: number
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
        start=1,
    )
}
_CENT = Decimal("0.01")

Line = tuple[str, str, str, Decimal, Decimal, Decimal, Decimal, Decimal]


def _cents(amount: Decimal) -> Decimal:
    return amount.quantize(_CENT, ROUND_HALF_UP)


def _share(text: str) -> Decimal:
    number = Decimal(text.rstrip("% "))
    return number / 100 if "%" in text or number >= 1 else number


def _month(text: str) -> int:
    if "/" in text:
        return int(text.split("/")[0])
    return int(text.replace("-", "")[4:6])


def _rates(connection: Connection) -> tuple[dict[tuple[int, str], Decimal], dict[str, Decimal]]:
    coupons = {
        (_MONTHS[str(month)[:3]], str(category)): _share(str(share))
        for month, category, share in connection.execute(
            "select month, product_category, discount_pct from raw.discount_coupon"
        )
    }
    taxes = {
        str(category): _share(str(gst))
        for category, gst in connection.execute("select product_category, gst from raw.tax_amount")
    }
    return coupons, taxes


def _expected_lines(connection: Connection) -> list[Line]:
    coupons, taxes = _rates(connection)
    lines = []
    for (
        transaction,
        customer,
        sku,
        date,
        category,
        quantity,
        price,
        delivery,
        status,
    ) in connection.execute(
        """select transaction_id, customer_id, product_sku, transaction_date, product_category,
                      quantity, avg_price, delivery_charges, coupon_status
               from raw.online_sales"""
    ):
        gross = _cents(Decimal(str(quantity)) * Decimal(str(price)))
        rate = coupons.get((_month(str(date)), str(category)), Decimal(0))
        discount = _cents(gross * rate) if status == "Used" else Decimal(0)
        gst = _cents((gross - discount) * taxes.get(str(category), Decimal(0)))
        charges = Decimal(str(delivery))
        total = gross - discount + gst + charges
        lines.append(
            (str(transaction), str(customer), str(sku), gross, discount, gst, charges, total)
        )
    return sorted(lines)


def test_every_sale_line_is_right_to_the_cent(built: DatabaseEndpoint) -> None:
    with connect(built) as connection:
        expected = _expected_lines(connection)
        actual = sorted(
            connection.execute(
                """select transaction_id, source_customer_id, product_sku, gross_sales_amount,
                          discount_amount, gst_amount, delivery_charges, total_amount
                   from marts.fct_sales"""
            ).fetchall()
        )
    assert actual == expected
    assert any(line[4] > 0 for line in expected)


def test_segments_sum_up_to_the_sale_lines(built: DatabaseEndpoint) -> None:
    with connect(built) as connection:
        expected = sum((line[7] for line in _expected_lines(connection)), Decimal(0))
        row = connection.execute(
            """select sum(total_revenue) + (
                   select coalesce(sum(total_amount), 0) from marts.fct_sales
                   where customer_id = '-1')
               from marts.fct_customer_segments"""
        ).fetchone()
    assert row is not None
    assert row[0] == expected
