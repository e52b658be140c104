"""The stores: refunds, revenue, what is bought together, and anomalies."""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from serving.api.models.parts import (
    Answer,
    Count,
    CustomerId,
    Day,
    Moment,
    Money,
    Number,
    ProductId,
    Share,
    SourceId,
    StoreId,
    Text,
    example,
)


class Refund(Answer):
    """One refund, with the sale it refers to as far as that is known."""

    model_config = example(
        refund_id="R-000123",
        original_transaction_id="T-004567",
        product_id="P003",
        store_id="S002",
        customer_id="C00042",
        reason="damaged",
        refund_amount="24.90",
        sale_amount="49.80",
        is_sale_known=True,
        is_over_refunded=False,
        date_day="2026-02-03",
        refunded_at="2026-02-03T10:15:00Z",
    )

    refund_id: SourceId
    original_transaction_id: SourceId
    product_id: ProductId
    store_id: StoreId
    customer_id: CustomerId
    reason: Text
    refund_amount: Money
    sale_amount: Money | None
    is_sale_known: bool = Field(description="Whether the sale has come in yet.")
    is_over_refunded: bool = Field(description="Whether more was refunded than was paid.")
    date_day: Day
    refunded_at: Moment


class Store(Answer):
    """One store, and its revenue over all days."""

    model_config = example(
        store_id="S002",
        store_name="Harbour",
        city="Hamburg",
        region="North",
        size_sqft=12_000,
        sale_count=16_700,
        gross_revenue="834100.00",
        refund_count=1_640,
        refund_amount="80210.50",
        net_revenue="753889.50",
    )

    store_id: StoreId
    store_name: Text
    city: Text
    region: Text
    size_sqft: int | None = Field(description="Floor space in square feet.")
    sale_count: Count
    gross_revenue: Money
    refund_count: Count
    refund_amount: Money
    net_revenue: Money


class StoreDay(Answer):
    """One UTC day, store and product with a sale or a refund; refunds on their own day."""

    model_config = example(
        date_day="2026-02-03",
        store_id="S002",
        source_store_id="S002",
        product_id="P003",
        source_product_id="P003",
        sale_count=31,
        gross_revenue="1543.80",
        refund_count=3,
        refund_amount="99.60",
        net_revenue="1444.20",
    )

    date_day: Day
    store_id: StoreId
    source_store_id: SourceId
    product_id: ProductId
    source_product_id: SourceId
    sale_count: Count
    gross_revenue: Money
    refund_count: Count
    refund_amount: Money
    net_revenue: Money


Names = Annotated[list[str], Field(description="One or more products.")]


class Association(Answer):
    """Who buys the antecedent also buys the consequent."""

    model_config = example(
        domain="retail",
        antecedent=["P001"],
        consequent="P003",
        antecedent_names=["Laptop"],
        consequent_name="Mouse",
        sentence="Who buys Laptop also buys Mouse in 31 % of the baskets.",
        antecedent_count=812,
        consequent_count=1_204,
        rule_count=252,
        basket_count=20_110,
        support="0.012531",
        confidence="0.310345",
        lift="5.183611",
        leverage="0.010114",
        conviction="1.363200",
        first_basket_on="2026-01-01",
        last_basket_on="2026-02-28",
    )

    domain: str = Field(description="The shop: ecommerce or retail.")
    antecedent: Names
    consequent: str = Field(description="The product bought besides.")
    antecedent_names: Names
    consequent_name: str = Field(description="Its name.")
    sentence: str = Field(description="The rule in words.")
    antecedent_count: Count
    consequent_count: Count
    rule_count: Count
    basket_count: Count
    support: Share
    confidence: Share
    lift: Number
    leverage: Number
    conviction: Annotated[Decimal | None, Field(description="Null when the rule never fails.")]
    first_basket_on: Day
    last_basket_on: Day


class Anomaly(Answer):
    """A minute and product whose revenue is far from what was usual at such a time."""

    model_config = example(
        window_start="2026-02-03T10:15:00Z",
        product_id="P003",
        source_product_id="P003",
        direction="spike",
        reason="4.2 times the usual revenue",
        expected_revenue="120.00",
        actual_revenue="504.00",
        score="8.40",
    )

    window_start: Moment
    product_id: ProductId
    source_product_id: SourceId
    direction: str = Field(description="spike or drop.")
    reason: str = Field(description="Why it is one, in words.")
    expected_revenue: Money
    actual_revenue: Money
    score: Number


Shop = Literal["ecommerce", "retail"]
