"""Bank customers, segmented live."""

from decimal import Decimal
from typing import Annotated

from pydantic import Field

from serving.api.models.parts import Answer, Count, CustomerId, Moment, Money, example

LiveSegment = Annotated[
    str, Field(description="High-Value, Budget-Conscious or At Risk / Inactive.")
]


class LiveCustomer(Answer):
    """One bank customer: figures and live segment as of the last movement."""

    model_config = example(
        customer_id="B000042",
        income="5200.00",
        balance="1830.44",
        customer_lifetime_value="412.7500",
        debt="0.00",
        tenure=31,
        credit_default=False,
        days_from_last_transaction=0,
        avg_transaction_amt="61.20",
        num_transactions=118,
        digital_engagement_score="71.00",
        total_products_owned=3,
        transaction_freq="4.1200",
        segment="High-Value",
        last_updated="2026-03-01T12:00:01Z",
    )

    customer_id: CustomerId
    income: Money | None
    balance: Money
    customer_lifetime_value: Money
    debt: Money | None
    tenure: int | None = Field(description="As in the file of accounts; null for who is not in it.")
    credit_default: bool | None = Field(description="Whether a credit went bad; null: unknown.")
    days_from_last_transaction: int = Field(description="Before the last movement, in days.")
    avg_transaction_amt: Money
    num_transactions: Count
    digital_engagement_score: Annotated[
        Decimal | None, Field(description="As in the file of accounts, in a string.")
    ]
    total_products_owned: int | None = Field(description="As in the file of accounts.")
    transaction_freq: Annotated[Decimal, Field(description="Movements a month, in a string.")]
    segment: LiveSegment
    last_updated: Moment
