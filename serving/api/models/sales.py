"""Sales of the web shop, and both shops in a few figures."""

from pydantic import Field

from serving.api.models.parts import Answer, Count, Day, Money, Share, example, example_of

_SUMS: dict[str, object] = {
    "sale_lines": 152,
    "orders": 61,
    "customers": 44,
    "new_customers": 9,
    "quantity": 688,
    "gross_sales_amount": "7482.40",
    "discount_amount": "212.10",
    "net_sales_amount": "7270.30",
    "gst_amount": "1090.54",
    "delivery_charges": "481.50",
    "total_amount": "8842.34",
    "avg_order_value": "144.96",
}


class _Sales(Answer):
    sale_lines: Count
    orders: Count
    customers: Count
    new_customers: Count
    quantity: Count
    gross_sales_amount: Money
    discount_amount: Money
    net_sales_amount: Money
    gst_amount: Money
    delivery_charges: Money
    total_amount: Money
    avg_order_value: Money | None


class DailySales(_Sales):
    """Web sales of one day; days without an order are there with zeros."""

    model_config = example(date_day="2019-03-01", **_SUMS)

    date_day: Day


class MonthlySales(_Sales):
    """Web sales of one calendar month; the first and last can be parts of months."""

    model_config = example(date_month="2019-03-01", days=31, **_SUMS)

    date_month: Day
    days: Count


class WebKpis(Answer):
    """The web shop in the period."""

    model_config = example(
        first_day="2019-01-01",
        last_day="2019-12-31",
        orders=25_061,
        new_customers=1_468,
        gross_sales_amount="4670794.62",
        discount_amount="120311.07",
        net_sales_amount="4550483.55",
        total_amount="5411200.18",
        avg_order_value="215.92",
    )

    first_day: Day | None
    last_day: Day | None
    orders: Count
    new_customers: Count
    gross_sales_amount: Money
    discount_amount: Money
    net_sales_amount: Money
    total_amount: Money
    avg_order_value: Money | None


class TillKpis(Answer):
    """The stores' tills in the period: gross - refunds = net."""

    model_config = example(
        first_day="2026-02-01",
        last_day="2026-02-28",
        sale_count=50_211,
        gross_revenue="2511300.10",
        refund_count=5_003,
        refund_amount="241020.00",
        net_revenue="2270280.10",
        refund_share="0.0960",
    )

    first_day: Day | None
    last_day: Day | None
    sale_count: Count
    gross_revenue: Money
    refund_count: Count
    refund_amount: Money
    net_revenue: Money
    refund_share: Share | None = Field(
        description="Refunds over gross revenue; null without sales."
    )


class Kpis(Answer):
    """Both shops in one period, each by its own days."""

    model_config = example(
        web=example_of(WebKpis),
        tills=example_of(TillKpis),
    )

    web: WebKpis
    tills: TillKpis
